import { require } from '../swarm/violation.ts';
import type { World } from '../swarm/world.ts';
import type { CommittedState, Member, Tree } from './control.ts';
import type { Truth } from './truth.ts';

/** R2, R6, R7, R9: who is in ISR and ELR, as the coordinators committed it. */
export class MembershipChecker {
  readonly #world: World;
  readonly #truth: Truth;
  /** By broker: which life of its machine had which broker epoch. */
  readonly #lives = new Map<number, Map<number, number>>();

  constructor(world: World, truth: Truth) {
    this.#world = world;
    this.#truth = truth;
    world.control.listen((topic, partition, state, before, tree) =>
      this.#changed(topic, partition, state, before, tree),
    );
  }

  /** R7: a process is another incarnation than all before it on its machine. */
  registered(brokerId: number, brokerEpoch: number, life: number): void {
    const lives = this.#lives.get(brokerId) ?? new Map<number, number>();
    const other = lives.get(brokerEpoch);
    if (other === life) return;
    require(other === undefined, 'R7', () => `b${brokerId} is ${brokerEpoch} in two lives`);
    this.#lives.set(brokerId, lives.set(brokerEpoch, life));
  }

  #changed(
    topic: string,
    partition: number,
    state: CommittedState,
    before: CommittedState | undefined,
    tree: Tree,
  ): void {
    const name = `${topic}-${partition} version ${state.version}`;
    const replicas = this.#world.control.replicasOf(topic, partition);
    const isr = new Set(state.isr.map((member) => member.brokerId));
    require(isr.size === state.isr.length && isr.size > 0, 'R9', () => `${name}: ISR ${ids(state.isr)}`);
    require([...isr].every((id) => replicas.includes(id)), 'R9', () =>
      `${name}: ISR ${ids(state.isr)} of the replicas ${replicas}`);
    require(state.elr.every((member) => !isr.has(member.brokerId)), 'R9', () =>
      `${name}: ISR ${ids(state.isr)} and ELR ${ids(state.elr)} overlap`);
    // A change that was decided before `min.insync.replicas` was lowered: its leader holds the high watermark until the ELR has ended (KIP-966).
    const alteredZxid = tree.znodes.get(configPath(topic))?.mzxid ?? 0;
    const isOlder = before !== undefined && before.zxid < alteredZxid;
    const minInSync = Math.min(replicas.length, this.#minInSync(topic, tree));
    require(isr.size < minInSync || state.elr.length === 0 || isOlder, 'R9', () =>
      `${name}: ELR ${ids(state.elr)} beside the ISR ${ids(state.isr)}`);
    require(state.leader < 0 || isr.has(state.leader), 'R9', () =>
      `${name}: the leader ${state.leader} is not in the ISR`);
    if (before !== undefined) this.#checkAdded(name, state, before, tree);
    this.check(topic, partition);
  }

  /** As it is by now: it may have been altered. */
  #minInSync(topic: string, tree: Tree): number {
    const config = tree.znodes.get(configPath(topic));
    const altered = config && JSON.parse(Buffer.from(config.data).toString()).config['min.insync.replicas'];
    return Number(altered ?? this.#world.topicParameters(topic).minInSync);
  }

  /** R6, R7: whoever joins is registered as exactly this incarnation when it joins. */
  #checkAdded(name: string, state: CommittedState, before: CommittedState, tree: Tree): void {
    // Later entries, applied in the same event, may have ended the registration again.
    if (tree.zxid !== state.zxid) return;
    for (const member of state.isr) {
      if (includes(before.isr, member) || includes(before.elr, member)) continue;
      const registered = tree.znodes.get(`/brokers/ids/${member.brokerId}`)?.czxid;
      require(registered === member.brokerEpoch, 'R6', () =>
        `${name}: b${member.brokerId} joins as ${member.brokerEpoch}, registered is ${registered}`);
    }
  }

  /** R2: every member of ISR and ELR that runs has everything that is committed, on its disk where that was promised. */
  check(topic: string, partition: number): void {
    const { control, brokers } = this.#world;
    const state = control.stateOf(topic, partition);
    const topicId = control.topicIdOf(topic);
    if (state === undefined || topicId === undefined) return;
    const truth = this.#truth.of(topicId, partition, topic);
    const { flushBeforeAck } = this.#world.topicParameters(topic);
    for (const member of [...state.isr, ...state.elr]) {
      const broker = brokers.get(member.brokerId);
      if (broker?.self?.brokerEpoch !== member.brokerEpoch) continue;
      const log = broker.replicas.partitionById(topicId, partition)?.log;
      // Who knows that its log is not whole, and has said so, does not lead, whoever elects it.
      if (log === undefined || broker.replicas.damaged.includes(`${topicId}:${partition}`)) continue;
      const end = flushBeforeAck ? log.flushedOffset : log.logEndOffset;
      require(end >= truth.highWatermark, 'R2', () =>
        `${truth.name} version ${state.version}: b${member.brokerId} is in ISR ${ids(state.isr)} or ELR ${ids(state.elr)} with ${end}; committed is ${truth.highWatermark}`);
    }
  }

  checkAll(): void {
    for (const { name, partitions } of this.#world.parameters.topics) {
      for (let partition = 0; partition < partitions; partition++) this.check(name, partition);
    }
  }
}

const configPath = (topic: string): string => `/config/topics/${topic}`;

function includes(members: readonly Member[], member: Member): boolean {
  return members.some((m) => m.brokerId === member.brokerId && m.brokerEpoch === member.brokerEpoch);
}

function ids(members: readonly Member[]): string {
  return `{${members.map((m) => `${m.brokerId}@${m.brokerEpoch}`).join(', ')}}`;
}
