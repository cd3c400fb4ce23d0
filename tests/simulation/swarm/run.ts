import type { Consumer } from '@naru/client';
import { ClientChecker } from '../checkers/client.ts';
import { CompactionChecker, compactedTopics } from '../checkers/compaction.ts';
import { CoordinatorChecker } from '../checkers/coordinator.ts';
import { GroupLogChecker } from '../checkers/group-log.ts';
import { Progress } from '../checkers/group-progress.ts';
import { checkGroupsAreTheirLogs } from '../checkers/groups.ts';
import { checkIndexes, type Stamps } from '../checkers/log-index.ts';
import { MembershipChecker } from '../checkers/membership.ts';
import { ReplicaChecker } from '../checkers/replica.ts';
import { compareReplicas } from '../checkers/replicas-equal.ts';
import { type Replica, Truth } from '../checkers/truth.ts';
import { Churn } from './churn.ts';
import { FaultScript } from './faults.ts';
import { GroupMembers } from './group-members.ts';
import { History } from './history.ts';
import type { Parameters } from './parameters.ts';
import { Placement } from './placement.ts';
import { postMortem } from './post-mortem.ts';
import { Registers } from './registers.ts';
import { needChurn } from './schedule.ts';
import { Story } from './story.ts';
import { Table } from './table.ts';
import { Violation } from './violation.ts';
import { Workload } from './workload.ts';
import { idOf, World } from './world.ts';

/** What came of a run. */
export interface RunReport {
  readonly seed: number;
  readonly traceHash: string;
  /** The first promise that was broken, or undefined. */
  readonly violation: { readonly invariant: string; readonly message: string } | undefined;
  readonly simulatedMs: number;
  readonly events: number;
  readonly acked: number;
  readonly sent: number;
  readonly polled: number;
  readonly elections: number;
  readonly isrChanges: number;
  readonly truncations: number;
  readonly coordinatorTerms: number;
  /** Of the group: of the classic protocol, and of a group whose coordinator assigns; changes from one to the other; offsets committed. */
  readonly generations: number;
  readonly epochs: number;
  readonly protocolChanges: number;
  readonly commits: number;
  /** Records that cleaners took away, as often as they were missed. */
  readonly cleaned: number;
  /** Reads and writes of the coordinators' own clients that were answered. */
  readonly registers: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Healing to full ISR everywhere, virtual milliseconds. */
  readonly recoveredMs: number;
}

/** How often the checks that read whole logs run, virtual milliseconds. */
const checkpointMs = 4_000;
/** After healing everything has to be as it should within this (C11, L7). */
const recoveryMsMax = 60_000;

const uncaught = ['unhandledRejection', 'uncaughtException'] as const;

/** One seed: a cluster, a workload and faults; then peace, and everything has to be there. */
export async function runSeed(parameters: Parameters, story = new Story()): Promise<RunReport> {
  const run = new Run(parameters, story);
  const unhandled = (error: unknown): void => {
    if (!run.world.sim.hasGhost) run.world.sim.at(0, () => raise(error));
  };
  for (const event of uncaught) process.on(event, unhandled);
  try {
    await run.play();
    return run.report(undefined);
  } catch (error) {
    const violation = violationOf(error, run);
    if (story.isTold) run.explain(violation);
    return run.report(violation);
  } finally {
    for (const event of uncaught) process.off(event, unhandled);
  }
}

function violationOf(error: unknown, run: Run): NonNullable<RunReport['violation']> {
  if (error instanceof Violation) return { invariant: error.invariant, message: error.message };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const invariant = error instanceof Error && error.name === 'SimulationTimeout' ? 'liveness' : 'crash';
  return { invariant, message: `${message}\n${run.situation()}` };
}

function raise(error: unknown): never {
  throw error;
}

class Run {
  readonly world: World;
  readonly #parameters: Parameters;
  readonly #story: Story;
  readonly #history = new History();
  readonly #truth = new Truth();
  readonly #replicas: ReplicaChecker;
  readonly #membership: MembershipChecker;
  readonly #clients: ClientChecker;
  readonly #coordinators: CoordinatorChecker;
  readonly #workload: Workload;
  readonly #churn: Churn;
  readonly #placement: Placement;
  readonly #compaction: CompactionChecker;
  readonly #table: Table;
  readonly #registers: Registers;
  readonly #groupLog: GroupLogChecker;
  readonly #group: GroupMembers | undefined;
  readonly #script: FaultScript;
  /** Coordinators that stay down in the end. */
  readonly #dead = new Set<string>();
  #recoveredMs = -1;
  #isOver = false;

  constructor(parameters: Parameters, story: Story) {
    this.#parameters = parameters;
    this.#story = story;
    this.world = new World(parameters, story);
    this.#membership = new MembershipChecker(this.world, this.#truth);
    this.#clients = new ClientChecker(this.world, this.#history, this.#truth);
    this.#coordinators = new CoordinatorChecker(this.world);
    this.#workload = new Workload(this.world, this.#history, story);
    this.#churn = new Churn(this.world, this.#workload.client('admin'));
    this.#compaction = new CompactionChecker(this.#truth);
    this.#table = new Table(this.world, this.#workload.client('admin'));
    this.#registers = new Registers(this.world);
    this.world.control.listenToTree(({ sessions }) => this.#registers.checkSessions(sessions));
    const progress = new Progress();
    this.#groupLog = new GroupLogChecker(this.world, this.#truth, progress);
    const topics = parameters.topics.map(({ name }) => name);
    const shared = { world: this.world, history: this.#history, story, progress, checker: this.#groupLog, topics };
    this.#group = parameters.group && new GroupMembers({ ...shared, parameters: parameters.group });
    this.#placement = new Placement(this.world, this.#workload.client('admin'));
    const asked = { admin: this.#churn, placement: this.#placement, group: this.#group };
    this.#script = new FaultScript(this.world, story, asked);
    this.#replicas = new ReplicaChecker(this.world, this.#truth, this.#script.atlas);
    this.world.observe({
      brokerStarted: () => {},
      brokerEnded: (id, broker) => {
        // What it told others in its last event counts.
        this.#replicas.afterEvent(broker);
        this.#replicas.brokerEnded(id);
        this.#coordinators.brokerEnded(id);
      },
      coordinatorStarted: () => {},
      coordinatorEnded: (id) => this.#coordinators.ended(id),
    });
    this.world.sim.afterEvent((host) => this.#afterEvent(host));
    if (story.isTold) this.#tellStates();
  }

  async play(): Promise<void> {
    const { sim } = this.world;
    const { faults, faultsMs, brokers } = this.#parameters;
    this.world.startAll();
    await sim.runUntil(() => this.world.brokers.size === brokers);
    await sim.complete(this.#workload.createTopics());
    this.#workload.start();
    this.#group?.start();
    if (this.#parameters.hasTable) this.#table.start();
    this.#registers.start();
    if (faults.some(({ kind }) => needChurn.has(kind))) this.#churn.start();
    this.#checkpointLater();
    await sim.runFor(500);
    this.#script.schedule(faults);
    await sim.runFor(faultsMs);
    await this.#recover();
    await this.#readEverything();
    this.#isOver = true;
    await this.#compare();
    await sim.complete(this.#workload.close());
  }

  /** Liveness mode: a random core heals, faults stop, and within a bound everything answers and every replica is in sync. */
  async #recover(): Promise<void> {
    const { sim, coordinatorIds } = this.world;
    this.#story.tell('FAULT', 'all faults end');
    const healedMs = sim.nowMs;
    this.#script.heal();
    this.#keepUp();
    // Who is not in the quorum cannot stand in for those who are dead.
    await sim.runUntil(() => this.#script.members.isComplete, recoveryMsMax);
    const random = sim.random.fork('core');
    const minority = Math.floor((coordinatorIds.length - 1) / 2);
    // Who refuses its damaged store is one of those that may be missing.
    for (const id of coordinatorIds) {
      if (!this.world.coordinators.has(id) && this.#dead.size < minority) this.#dead.add(`c${id}`);
    }
    if (random.chance(0.3))
      while (this.#dead.size < minority) this.#dead.add(`c${coordinatorIds[random.nextInt(coordinatorIds.length)]}`);
    for (const host of this.#dead) this.world.kill(host);
    // A follower that fetches slower than producers write need not catch up with them.
    this.#workload.pauseSending();
    await sim.runUntil(() => this.#isWhole(), recoveryMsMax);
    this.#recoveredMs = sim.nowMs - healedMs;
    this.#workload.resumeSending();
    const acked = this.#history.ackedCount;
    await sim.runUntil(() => this.#history.ackedCount > acked + 20, recoveryMsMax);
    this.#workload.pauseSending();
    this.#churn.stop();
    this.#table.stop();
    this.#registers.stop();
    await sim.runUntil(() => this.#workload.openSends === 0 && this.#isWhole(), recoveryMsMax);
  }

  /** Starts what is down, and what goes down still because a shutdown was under way. */
  #keepUp(): void {
    for (const host of this.world.serverHosts) if (!this.#dead.has(host)) this.world.start(host);
    this.#group?.start();
    if (!this.#isOver) this.world.sim.at(500, () => this.#keepUp());
  }

  /** Every partition has a leader that leads, and all its replicas in sync with their current incarnations (R9). */
  #isWhole(): boolean {
    const { control, brokers } = this.world;
    if (brokers.size < this.#parameters.brokers) return false;
    for (const { topic, partition } of this.#partitions()) {
      const state = control.stateOf(topic, partition);
      const replicas = control.replicasOf(topic, partition);
      if (state === undefined || state.isr.length < replicas.length || control.isMoving(topic, partition)) return false;
      if (!state.isr.every((m) => brokers.get(m.brokerId)?.self?.brokerEpoch === m.brokerEpoch)) return false;
      const topicId = control.topicIdOf(topic) ?? '';
      if (brokers.get(state.leader)?.replicas.partitionById(topicId, partition)?.isLeader !== true) return false;
    }
    return true;
  }

  /** Those of the workload, of groups and of the table. */
  *#partitions(): Iterable<{ readonly topic: string; readonly partition: number }> {
    yield* this.#workload.partitions;
    for (const topic of compactedTopics) {
      for (let partition = 0; this.world.control.stateOf(topic, partition) !== undefined; partition++) {
        yield { topic, partition };
      }
    }
  }

  /** C1, C11: a new consumer reads everything, and those of the whole run come to the end. */
  async #readEverything(): Promise<void> {
    const { sim } = this.world;
    const client = this.#workload.client('admin');
    const consumer = client.consumer({ 'auto.offset.reset': 'earliest' });
    const { partitions } = this.#workload;
    consumer.assign(partitions);
    const ends = await sim.complete(consumer.endOffsets(partitions), recoveryMsMax);
    const readers = ['final', ...Array.from({ length: this.#parameters.consumers }, (_, index) => `k${index + 1}`)];
    const isAtEnd = (reader: string): boolean =>
      ends.every((end) => this.#clients.positionOf(reader, end.topic, end.partition) >= Number(end.offset));
    const read = async (): Promise<void> => {
      while (!isAtEnd('final')) await this.#pollFinal(consumer);
    };
    await sim.complete(read(), recoveryMsMax);
    await sim.runUntil(() => readers.every(isAtEnd), recoveryMsMax);
    const settled = ends.map((end) => ({ ...end, offset: Number(end.offset) }));
    await sim.runUntil(() => this.#group?.isSettled(settled) ?? true, recoveryMsMax);
    this.#clients.atEnd('final');
    this.#failIfAnyFailed();
    const tableId = this.world.control.topicIdOf('table');
    if (tableId !== undefined) {
      await sim.complete(this.#table.check(this.#truth.of(tableId, 0, 'table'), this.#compaction), recoveryMsMax);
    }
    await sim.complete(consumer.close());
  }

  async #pollFinal(consumer: Consumer): Promise<void> {
    for (const { topic, partition, offset, value, leaderEpoch } of await consumer.poll(500)) {
      this.#history.polled({ consumer: 'final', topic, partition, offset: Number(offset), value, leaderEpoch });
    }
  }

  /** L7: the same bytes everywhere, once followers have fetched the last records. */
  async #compare(): Promise<void> {
    const { sim } = this.world;
    const isEven = (): boolean =>
      [...this.#partitionsOnBrokers()].every(
        ({ log, end, committed }) => log.logEndOffset === end && log.flushedOffset === end && committed === end,
      );
    await sim.runUntil(isEven, recoveryMsMax);
    compareReplicas(this.world, this.#truth, this.#script.atlas, this.#compaction);
    this.#membership.checkAll();
    await sim.runUntil(() => this.#areCoordinatorsEven(), recoveryMsMax);
    this.#coordinators.checkpoint();
    await sim.complete(this.#checkIndexes(), recoveryMsMax);
    await sim.complete(checkGroupsAreTheirLogs(sim, [...this.world.brokers.values()]));
  }

  async #checkIndexes(): Promise<void> {
    const random = this.world.sim.random.fork('indexes');
    const { atlas } = this.#script;
    const stamps: Stamps = new Map();
    for (const [id, broker] of this.world.brokers) {
      for (const { partition: replica } of broker.replicas.hosted) {
        if (replica === undefined || replica.log.state.kind !== 'open' || replica.topic === 'churn') continue;
        // Cleaners still move what is in compacted logs; what the run harmed need not be found.
        if (compactedTopics.has(replica.topic) || (id === atlas.victim && atlas.harmed(replica.log.directory)))
          continue;
        await checkIndexes(this.world.node(`b${id}`), replica, stamps, random);
      }
    }
  }

  *#partitionsOnBrokers(): Iterable<{
    readonly log: Replica['log'];
    readonly end: number;
    readonly committed: number;
  }> {
    for (const { topic, partition } of this.#partitions()) {
      const topicId = this.world.control.topicIdOf(topic) ?? '';
      const committed = this.#truth.of(topicId, partition, topic).highWatermark;
      const logs = this.world.control
        .replicasOf(topic, partition)
        .flatMap((id) => this.world.brokers.get(id)?.replicas.partitionById(topicId, partition)?.log ?? []);
      const end = Math.max(...logs.map((log) => log.logEndOffset));
      for (const log of logs) yield { log, end, committed };
    }
  }

  #areCoordinatorsEven(): boolean {
    return new Set([...this.world.coordinators.values()].map((each) => each.tree().zxid)).size <= 1;
  }

  #afterEvent(host: string | undefined): void {
    if (host === undefined) {
      for (const id of this.world.brokers.keys()) this.#brokerMoved(`b${id}`);
      for (const [id, coordinator] of this.world.coordinators) this.#coordinators.afterEvent(id, coordinator);
    } else if (host.startsWith('b')) this.#brokerMoved(host);
    else if (host.startsWith('c')) {
      const coordinator = this.world.coordinators.get(idOf(host));
      if (coordinator !== undefined) this.#coordinators.afterEvent(idOf(host), coordinator);
    } else {
      this.#failIfAnyFailed();
    }
  }

  /** Loops in the background that must not fail. */
  #failIfAnyFailed(): void {
    const { members } = this.#script;
    for (const part of [
      this.#workload,
      this.#group,
      members,
      this.#churn,
      this.#placement,
      this.#table,
      this.#registers,
    ]) {
      if (part?.failure !== undefined) throw part.failure;
    }
  }

  #brokerMoved(host: string): void {
    const id = idOf(host);
    const broker = this.world.brokers.get(id);
    if (broker === undefined) return;
    if (broker.self !== undefined) {
      this.#membership.registered(id, broker.self.brokerEpoch, this.world.node(host).lives);
    }
    this.#coordinators.brokerSees(id);
    this.#replicas.afterEvent(broker);
  }

  #checkpointLater(): void {
    this.world.sim.at(checkpointMs, () => {
      if (this.#isOver) return;
      this.#membership.checkAll();
      this.#coordinators.checkpoint();
      compareReplicas(this.world, this.#truth, this.#script.atlas, this.#compaction, { onlyCommitted: true });
      this.#checkpointLater();
    });
  }

  #tellStates(): void {
    this.world.control.listen((topic, partition, state) => {
      const members = (some: readonly { brokerId: number; brokerEpoch: number }[]): string =>
        some.map((m) => `${m.brokerId}@${m.brokerEpoch}`).join(' ');
      this.#story.tell(
        'STATE',
        `${topic}-${partition} v${state.version} zxid ${state.zxid}: leader ${state.leader} epoch ${state.leaderEpoch}, ISR [${members(state.isr)}], ELR [${members(state.elr)}]`,
      );
    });
  }

  /** The end of the story. */
  explain({ invariant, message }: NonNullable<RunReport['violation']>): void {
    const remains = { world: this.world, truth: this.#truth, history: this.#history, story: this.#story };
    this.#story.tell('BROKEN', message.split('\n', 1)[0] ?? '');
    this.#story.add(['', ...postMortem(remains, invariant, message), '']);
  }

  /** What stands in the way: for a run that did not come to its end. */
  situation(): string {
    const lines = [`at ${this.world.sim.nowMs.toFixed(0)} ms; open sends ${this.#workload.openSends}`];
    for (const { name } of this.world.sim.nodes) {
      const node = this.world.node(name);
      if (!node.alive || node.paused) lines.push(`${name} ${node.alive ? 'paused' : 'down'}`);
    }
    lines.push(`brokers ${[...this.world.brokers.keys()]}, coordinators ${[...this.world.coordinators.keys()]}`);
    lines.push(...(this.#group?.situation() ?? []));
    for (const [path, state] of this.world.control.states) lines.push(`${path} ${JSON.stringify(state)}`);
    return [...lines, ...this.world.endings.slice(-10)].join('\n');
  }

  report(violation: RunReport['violation']): RunReport {
    const { sim, control } = this.world;
    return {
      seed: this.#parameters.seed,
      traceHash: sim.traceHash,
      violation,
      simulatedMs: sim.nowMs,
      events: sim.eventCount,
      acked: this.#history.ackedCount,
      sent: [...this.#history.all()].length,
      polled: this.#history.polledCount,
      elections: control.counts.elections,
      isrChanges: control.counts.isrChanges,
      truncations: this.#replicas.counts.truncations,
      coordinatorTerms: this.#coordinators.highestTerm,
      ...this.#groupLog.counts,
      cleaned: this.#compaction.cleanedCount,
      registers: this.#registers.answered,
      faults: Object.fromEntries(this.#script.counts),
      recoveredMs: this.#recoveredMs,
    };
  }
}
