import type { Coordinator } from '@naru/coordinator';
import { require } from '../swarm/violation.ts';

export interface Member {
  readonly brokerId: number;
  readonly brokerEpoch: number;
}

/** A partition's state as the coordinators committed it, decoded here on purpose once more. */
export interface CommittedState {
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly isr: readonly Member[];
  readonly elr: readonly Member[];
  readonly controllerEpoch: number;
  readonly version: number;
  /** Of this change. */
  readonly zxid: number;
  /** Of the znode's creation: a topic that was created again has another. */
  readonly createdZxid: number;
}

interface TopicSeen {
  readonly zxid: number;
  readonly topicId: string;
  readonly partitions: Record<string, number[]>;
  readonly moving: ReadonlySet<string>;
}

export interface ControlCounts {
  elections: number;
  isrChanges: number;
  expirations: number;
}

export type Tree = ReturnType<Coordinator['tree']>;
type Znode = NonNullable<ReturnType<Tree['znodes']['get']>>;

/** Told of each committed change of a partition's state that was seen; `before` is undefined for the first. */
export type StateListener = (
  topic: string,
  partition: number,
  state: CommittedState,
  before: CommittedState | undefined,
  tree: Tree,
) => void;

const statePath = /^\/brokers\/topics\/([^/]+)\/partitions\/(\d+)\/state$/;

/**
 * What the coordinators have committed: the tree of whichever of them has applied most. Every applied entry is committed, so that nothing here can be
 * taken back. Several entries applied in one event count as one change.
 */
export class Control {
  readonly counts: ControlCounts = { elections: 0, isrChanges: 0, expirations: 0 };
  readonly #listeners: StateListener[] = [];
  readonly #treeListeners: ((tree: Tree) => void)[] = [];
  readonly #states = new Map<string, CommittedState>();
  readonly #topics = new Map<string, TopicSeen>();
  /** The last that was known of each topic, by its id: also of one that is gone. */
  readonly #topicsById = new Map<string, TopicSeen>();
  #zxid = 0;

  listen(listener: StateListener): void {
    this.#listeners.push(listener);
  }

  /** Told of each state of the tree that nobody had before. */
  listenToTree(listener: (tree: Tree) => void): void {
    this.#treeListeners.push(listener);
  }

  stateOf(topic: string, partition: number): CommittedState | undefined {
    return this.#states.get(`/brokers/topics/${topic}/partitions/${partition}/state`);
  }

  replicasOf(topic: string, partition = 0): readonly number[] {
    return this.#topics.get(topic)?.partitions[String(partition)] ?? [];
  }

  /** The same for one topic of its name: its leader may not know yet that there is another. */
  replicasOfTopic(topicId: string, partition: number): readonly number[] {
    return this.#topicsById.get(topicId)?.partitions[String(partition)] ?? [];
  }

  /** To other brokers (KIP-455). */
  isMoving(topic: string, partition: number): boolean {
    return this.#topics.get(topic)?.moving.has(String(partition)) ?? false;
  }

  topicIdOf(topic: string): string | undefined {
    return this.#topics.get(topic)?.topicId;
  }

  get states(): ReadonlyMap<string, CommittedState> {
    return this.#states;
  }

  /** A coordinator may have applied something. */
  look(tree: Tree): void {
    if (tree.zxid <= this.#zxid) return;
    this.#zxid = tree.zxid;
    for (const listener of this.#treeListeners) listener(tree);
    for (const [path, znode] of tree.znodes) {
      if (!path.startsWith('/brokers/topics/')) continue;
      const topic = path.slice('/brokers/topics/'.length);
      if (!topic.includes('/')) this.#topicSeen(topic, znode);
      else this.#stateSeen(path, znode, tree);
    }
  }

  #topicSeen(topic: string, { data, mzxid }: { data: Uint8Array; mzxid: number }): void {
    if (this.#topics.get(topic)?.zxid === mzxid) return;
    const fields = JSON.parse(Buffer.from(data).toString());
    const moving = new Set([...Object.keys(fields.adding_replicas), ...Object.keys(fields.removing_replicas)]);
    const seen = { zxid: mzxid, partitions: fields.partitions, topicId: fields.topic_id, moving };
    this.#topics.set(topic, seen);
    this.#topicsById.set(seen.topicId, seen);
  }

  #stateSeen(path: string, znode: Znode, tree: Tree): void {
    const known = this.#states.get(path);
    if (known?.zxid === znode.mzxid) return;
    const match = statePath.exec(path);
    if (match === null) return;
    const state = decode(znode);
    const before = known?.createdZxid === znode.czxid ? known : undefined;
    const [topic, partition] = [match[1] as string, Number(match[2])];
    this.#states.set(path, state);
    if (state.leaderEpoch !== before?.leaderEpoch) this.counts.elections++;
    else this.counts.isrChanges++;
    if (before !== undefined) this.#check(`${topic}-${partition}`, state, before);
    for (const listener of this.#listeners) listener(topic, partition, state, before, tree);
  }

  #check(name: string, state: CommittedState, before: CommittedState): void {
    require(state.leaderEpoch >= before.leaderEpoch &&
      (state.leader === before.leader || state.leaderEpoch > before.leaderEpoch), 'R5', () =>
      `${name}: leader ${before.leader} in epoch ${before.leaderEpoch}, then ${state.leader} in ${state.leaderEpoch}`);
    require(state.controllerEpoch >= before.controllerEpoch, 'Z13', () =>
      `${name}: written by controller epoch ${state.controllerEpoch} after ${before.controllerEpoch}`);
  }
}

function decode({ data, version, mzxid, czxid }: Znode): CommittedState {
  const fields = JSON.parse(Buffer.from(data).toString());
  const members = (ids: number[], epochs: number[]): Member[] =>
    ids.map((brokerId, index) => ({ brokerId, brokerEpoch: epochs[index] as number }));
  return {
    leader: fields.leader,
    leaderEpoch: fields.leader_epoch,
    isr: members(fields.isr, fields.isr_epochs),
    elr: members(fields.elr ?? [], fields.elr_epochs ?? []),
    controllerEpoch: fields.controller_epoch,
    version,
    zxid: mzxid,
    createdZxid: czxid,
  };
}
