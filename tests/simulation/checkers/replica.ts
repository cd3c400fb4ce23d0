import type { Broker } from '@naru/broker';
import type { FaultAtlas } from '../swarm/fault-atlas.ts';
import { require } from '../swarm/violation.ts';
import type { World } from '../swarm/world.ts';
import { compactedTopics } from './compaction.ts';
import type { CommittedState, Member } from './control.ts';
import { LogCursor } from './stored-log.ts';
import { describe, type PartitionTruth, type Replica, type Truth } from './truth.ts';

/** What was seen of a replica after the event before. */
interface Seen {
  readonly replica: Replica;
  readonly truth: PartitionTruth;
  readonly cursor: LogCursor;
  /** By broker: where its replica of this partition was durable when it was last looked at. A disk outlives its process. */
  readonly durable: Map<number, number>;
  role: string;
  leaderEpoch: number;
  highWatermark: number;
  logEndOffset: number;
  flushedOffset: number;
}

export interface ReplicaCounts {
  leaderships: number;
  highWatermarkSteps: number;
  truncations: number;
}

/**
 * L3 and R1, R3, R4, R5, R10 after every event of a broker: who leads, how the high watermark moves, and that it moves only over what enough
 * disks hold. Reads the brokers' objects and their disks; changes nothing.
 */
export class ReplicaChecker {
  readonly counts: ReplicaCounts = { leaderships: 0, highWatermarkSteps: 0, truncations: 0 };
  readonly #world: World;
  readonly #truth: Truth;
  readonly #atlas: FaultAtlas;
  readonly #seen = new Map<number, Map<Replica, Seen>>();
  readonly #durable = new Map<PartitionTruth, Map<number, number>>();

  constructor(world: World, truth: Truth, atlas: FaultAtlas) {
    this.#world = world;
    this.#truth = truth;
    this.#atlas = atlas;
  }

  brokerEnded(id: number): void {
    this.#seen.delete(id);
  }

  afterEvent(broker: Broker): void {
    let seen = this.#seen.get(broker.id);
    if (seen === undefined) {
      seen = new Map();
      this.#seen.set(broker.id, seen);
    }
    for (const { partition } of broker.replicas.hosted) {
      if (partition === undefined) continue;
      let before = seen.get(partition);
      if (before === undefined) {
        before = this.#first(partition);
        seen.set(partition, before);
      }
      if (!isAsSeen(partition, before)) this.#compare(broker, before);
    }
  }

  #first(replica: Replica): Seen {
    const truth = this.#truth.of(replica.topicId, replica.index, replica.topic);
    const durable = this.#durable.get(truth) ?? new Map<number, number>();
    this.#durable.set(truth, durable);
    return {
      replica,
      truth,
      cursor: new LogCursor(),
      durable,
      role: '',
      leaderEpoch: -1,
      highWatermark: -1,
      logEndOffset: -1,
      flushedOffset: -1,
    };
  }

  #compare(broker: Broker, seen: Seen): void {
    const { replica } = seen;
    const { state } = replica;
    const { role, leaderEpoch, highWatermark, logEndOffset } = state;
    // The log may know of a sync before the partition does: it was somebody else's.
    const { flushedOffset } = replica.log;
    this.#checkBounds(broker, replica);
    if (logEndOffset < seen.logEndOffset) this.#truncated(broker, seen, logEndOffset);
    const wasSameLeader = seen.role === 'leader' && seen.leaderEpoch === leaderEpoch;
    if (role === 'leader' && !wasSameLeader) {
      this.#elected(broker, seen);
      // Alone in sync, a new leader takes everything for committed at once.
      const { highWatermark: committed } = seen.truth;
      if (highWatermark > committed) this.#stepped(broker, seen, committed, true);
    }
    if (wasSameLeader) {
      require(highWatermark >= seen.highWatermark, 'R4', () =>
        `${at(broker, replica)}: the leader's high watermark falls from ${seen.highWatermark} to ${highWatermark}`);
      if (highWatermark > seen.highWatermark) this.#stepped(broker, seen, seen.highWatermark, role === 'leader');
    }
    // Told of an ISR change and of its successor in one event, a leader takes one more step before it follows.
    const hasResigned = seen.role === 'leader' && !wasSameLeader && role !== 'leader';
    if (hasResigned && highWatermark > seen.highWatermark) this.#stepped(broker, seen, seen.highWatermark, false);
    require(highWatermark <= seen.truth.highWatermark, 'R4', () =>
      `${at(broker, replica)}: knows the high watermark ${highWatermark}, the true one is ${seen.truth.highWatermark}`);
    seen.role = role;
    seen.leaderEpoch = leaderEpoch;
    seen.highWatermark = highWatermark;
    seen.logEndOffset = logEndOffset;
    seen.flushedOffset = flushedOffset;
    seen.durable.set(broker.id, replica.log.config['flush.before.ack'] ? flushedOffset : logEndOffset);
  }

  #checkBounds(broker: Broker, replica: Replica): void {
    const { highWatermark, logStartOffset, logEndOffset, flushedOffset } = replica.state;
    require(logStartOffset <= highWatermark &&
      highWatermark <= logEndOffset &&
      flushedOffset <= logEndOffset, 'L3', () =>
      `${at(broker, replica)}: start ${logStartOffset}, HW ${highWatermark}, flushed ${flushedOffset}, end ${logEndOffset}`);
  }

  #truncated({ id, self }: Broker, seen: Seen, logEndOffset: number): void {
    this.counts.truncations++;
    const state = this.#stateOf(seen.replica);
    const isMember = state?.isr.some((m) => m.brokerId === id && m.brokerEpoch === self?.brokerEpoch) ?? false;
    require(!isMember || logEndOffset >= seen.truth.highWatermark, 'R8', () =>
      `b${id} ${seen.truth.name}: in the ISR, and cuts to ${logEndOffset} below ${seen.truth.highWatermark}`);
  }

  /** As committed; undefined: the topic is gone, or there is another of its name. */
  #stateOf({ topic, topicId, index }: Replica): CommittedState | undefined {
    const { control } = this.#world;
    return control.topicIdOf(topic) === topicId ? control.stateOf(topic, index) : undefined;
  }

  /** R1, R5. */
  #elected(broker: Broker, { replica, truth, cursor }: Seen): void {
    this.counts.leaderships++;
    const { leaderEpoch, logEndOffset } = replica.state;
    const who = `b${broker.id} (epoch ${replica.state.leader?.term.self.brokerEpoch})`;
    const other = truth.leaders.get(leaderEpoch);
    require(other === undefined || other === who, 'R5', () =>
      `${truth.name}: ${who} leads epoch ${leaderEpoch}, which ${other} has led`);
    truth.leaders.set(leaderEpoch, who);
    const last = truth.committed.at(-1);
    if (last === undefined) return;
    // It stood still on its way, and was succeeded meanwhile: it leads nobody, and need not have what came after it.
    if ((this.#stateOf(replica)?.leaderEpoch ?? -1) > leaderEpoch) return;
    require(logEndOffset >= last.endOffset, 'R1', () =>
      `${who} leads ${truth.name} with a log up to ${logEndOffset}; ${last.endOffset} is committed`);
    // A cleaner may have taken it away, and what it leaves is looked at elsewhere (L9); or the run itself has, from a part of the log that nobody reads at a start.
    if (this.#isChanged(broker.id, replica)) return;
    // Records of one epoch have one writer (R5): the same last batch means the same log before it.
    const node = this.#world.node(`b${broker.id}`);
    const [own] = cursor.read(node.disk, replica.log.directory, last.baseOffset, last.endOffset);
    require(own?.leaderEpoch === last.leaderEpoch && own.crc === last.crc, 'R1', () =>
      `${who} leads ${truth.name} with ${own && describe(own)} where ${describe(last)} is committed`);
  }

  /** R4, by what the follower itself is: it was in this leader epoch, or it cannot have fetched in it. */
  #checkFollower(
    leader: Broker,
    replica: Replica,
    member: { readonly brokerId: number; readonly brokerEpoch: number },
  ): void {
    const follower = this.#world.brokers.get(member.brokerId);
    if (follower?.self?.brokerEpoch !== member.brokerEpoch) return;
    const epoch = follower.replicas.partitionById(replica.topicId, replica.index)?.leaderEpoch;
    require(epoch === undefined || epoch >= replica.leaderEpoch, 'R4', () =>
      `${at(leader, replica)}: counts b${member.brokerId}, which is in epoch ${epoch}`);
  }

  /** R3: as long as nobody else was elected, it counts whoever could be. Beside an ISR that is large enough there is no ELR (R9). */
  #checkCounted(broker: Broker, replica: Replica, counted: readonly Member[]): void {
    const state = this.#stateOf(replica);
    if (state?.leader !== broker.id || state.leaderEpoch !== replica.leaderEpoch) return;
    if (state.isr.length < this.#world.topicParameters(replica.topic).minInSync) return;
    for (const { brokerId, brokerEpoch } of state.isr) {
      require(counted.some((member) => member.brokerId === brokerId && member.brokerEpoch === brokerEpoch), 'R3', () =>
        `${at(broker, replica)}: counts ${counted.map((member) => member.brokerId)}; b${brokerId}@${brokerEpoch} is in the ISR, too, by version ${state.version}`);
    }
  }

  /** What was committed before may have been cleaned since, or harmed by the run: nobody knows of that before it is read. */
  #isChanged(brokerId: number, replica: Replica): boolean {
    return compactedTopics.has(replica.topic) || this.#isHarmed(brokerId, replica);
  }

  #isHarmed(brokerId: number, replica: Replica): boolean {
    return brokerId === this.#atlas.victim && this.#atlas.harmed(replica.log.directory);
  }

  /** R4, R10: a leader's high watermark moved from `from` to what it is. */
  #stepped(broker: Broker, seen: Seen, from: number, isStillLeader: boolean): void {
    this.counts.highWatermarkSteps++;
    const { replica, truth } = seen;
    const { highWatermark, leader } = replica.state;
    if (isStillLeader && leader !== undefined) {
      this.#checkCounted(broker, replica, leader.inSync.maximal);
      for (const member of leader.inSync.maximal) {
        if (member.brokerId === broker.id) continue;
        const progress = leader.progressOf(member.brokerId);
        require(progress?.brokerEpoch === member.brokerEpoch && progress.replicatedOffset >= highWatermark, 'R4', () =>
          `${at(broker, replica)}: HW ${highWatermark}, and b${member.brokerId} has told ${progress?.replicatedOffset}`);
        this.#checkFollower(broker, replica, member);
      }
    }
    const node = this.#world.node(`b${broker.id}`);
    const isChanged = this.#isChanged(broker.id, replica);
    if (isChanged) seen.cursor.forget();
    const unread = isChanged ? Math.max(from, truth.highWatermark) : from;
    truth.commit(
      unread < highWatermark ? seen.cursor.read(node.disk, replica.log.directory, unread, highWatermark) : [],
      `b${broker.id} in epoch ${replica.leaderEpoch}`,
    );
    const { minInSync, flushBeforeAck } = this.#world.topicParameters(replica.topic);
    const own = flushBeforeAck ? replica.log.flushedOffset : replica.state.logEndOffset;
    let holders = own >= highWatermark ? 1 : 0;
    // Whoever is no replica any more may have removed its log.
    for (const id of this.#world.control.replicasOfTopic(replica.topicId, replica.index)) {
      if (id === broker.id) continue;
      // What the run itself took from a disk counts: the broker had it.
      const end = this.#isHarmed(id, replica) ? Number.POSITIVE_INFINITY : (seen.durable.get(id) ?? -1);
      if (end >= highWatermark) holders++;
    }
    require(holders >= minInSync, 'R10', () =>
      `${at(broker, replica)}: HW ${highWatermark} with ${holders} holders, its own end is ${own}, others ${JSON.stringify([...seen.durable])}; min.insync.replicas is ${minInSync}`);
  }
}

/** Asked after every event for every replica, mostly in vain. */
function isAsSeen({ state, log }: Replica, seen: Seen): boolean {
  return (
    seen.highWatermark === state.highWatermark &&
    seen.logEndOffset === state.logEndOffset &&
    seen.flushedOffset === log.flushedOffset &&
    seen.leaderEpoch === state.leaderEpoch &&
    seen.role === state.role
  );
}

function at({ id }: Broker, { topic, index, leaderEpoch }: Replica): string {
  return `b${id} ${topic}-${index} in epoch ${leaderEpoch}`;
}
