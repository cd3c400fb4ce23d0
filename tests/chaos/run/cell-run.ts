import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Mutant } from '../../simulation/mutants/mutants.ts';
import type { Cell } from '../cells.ts';
import { checkGroups, checkNoRebalance, groupFiguresOf } from '../checker/check-groups.ts';
import { checkHistory } from '../checker/check-history.ts';
import { checkAckedOnDisks, checkLogs, type ReplicaLog } from '../checker/check-logs.ts';
import { figuresOf } from '../checker/figures.ts';
import { readReplicaLogs } from '../checker/read-logs.ts';
import type { Violation } from '../checker/violation.ts';
import { Agent } from '../cluster/agent.ts';
import {
  brokerCount,
  brokerNames,
  ChaosCluster,
  coordinatorNames,
  nodeNames,
  sessionTimeoutMs,
} from '../cluster/chaos-cluster.ts';
import { delay, monotonicMs } from '../cluster/monotonic.ts';
import type { Dice } from '../cluster/power-loss.ts';
import { ShimControl } from '../cluster/preload-shim.ts';
import type { FaultContext, Targets } from '../faults/fault.ts';
import { type ChaosNetwork, client, type Endpoint } from '../network/network.ts';
import { GroupMembers } from '../workload/groups/members.ts';
import { type History, parseHistory } from '../workload/history.ts';
import type { TrafficOptions } from '../workload/traffic.ts';
import { ackBucketMs, type CellResult, type Note } from './result.ts';
import { StallMeter } from './stall-meter.ts';

export interface CellRunOptions {
  readonly cell: Cell;
  readonly network: ChaosNetwork;
  readonly directory: string;
  readonly seed: number;
  readonly faultMs: number;
  /** Compiled shim; undefined where there is none. */
  readonly shim: string | undefined;
  /** Where the library of the workload's clients is. */
  readonly library: string;
  /** A wrong rule in all nodes. */
  readonly mutant?: Mutant | undefined;
}

const topic = 'chaos';
const groupId = 'chaos-group';
/** With one partition, whoever leads it coordinates the group. */
const groupBrokerSettings = { 'offsets.topic.num.partitions': '1', 'group.initial.rebalance.delay.ms': '500' };
const warmUpMs = 3_000;
const recoveryMs = 3_000;
/** For writes to go on after a fault that leaves enough nodes (beyond the session timeout). */
const resumeSlackMs = 2_000;
const fullIsrTimeoutMs = 60_000;
/** C11. */
const unseenTimeoutMs = 30_000;
const finalReadTimeoutMs = 60_000;
const ackedMin = 100;
const firstAcksTimeoutMs = 30_000;
/** More than any workload writes in a run. */
const diskBytes = 192 * 1_048_576;

/**
 * One cell from the first process to the verdict: start, warm up, fault, heal, recover, read everything, stop, judge. Whatever happens, `close` leaves
 * nothing running or mounted.
 */
export class CellRun {
  readonly #options: CellRunOptions;
  readonly #violations: Violation[] = [];
  readonly #notes: Note[] = [];
  readonly #shims = new Map<Endpoint, ShimControl>();
  readonly #mounts: string[] = [];
  readonly #dice: Dice;
  #isReadToTheEnd = false;
  /** What was on the brokers' disks after an orderly stop. */
  #logs: readonly ReplicaLog[] | undefined;
  #stalledMs = 0;
  #stopMs = Number.POSITIVE_INFINITY;
  #unseen = 0;
  #cluster: ChaosCluster | undefined;
  #traffic: Agent | undefined;
  #members: GroupMembers | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: CellRunOptions) {
    this.#options = options;
    this.#dice = diceOf(options.seed);
  }

  async run(): Promise<CellResult> {
    const { cell, directory, seed, network } = this.#options;
    mkdirSync(directory, { recursive: true });
    const window = { startMs: monotonicMs(), fromMs: 0, toMs: 0, fullIsrMs: undefined as number | undefined };
    try {
      const cluster = await this.#start();
      window.startMs = monotonicMs();
      const traffic = await this.#startTraffic(cluster);
      await this.#startMembers(cluster);
      await delay(warmUpMs);
      window.fromMs = monotonicMs();
      const stalls = new StallMeter();
      await this.#fault(cluster);
      window.toMs = monotonicMs();
      this.#stalledMs = stalls.stop();
      await this.#heal(cluster);
      const full = this.#awaitFullIsr(cluster, window.toMs);
      await delay(recoveryMs);
      await traffic.ask({ command: 'stop-producers' });
      window.fullIsrMs = await full;
      await this.#finalRead(traffic);
      // Full on paper need not be full: 1. all links stall, nobody can write, and no ISR shrinks; 2. they heal, but TCP lets some of them wait for seconds until it tries
      // again; 3. a leader finds those followers lagging. Logs are compared when nobody lags.
      await cluster.refresh();
      if (window.fullIsrMs !== undefined && !this.#isFull(cluster)) {
        window.fullIsrMs = await this.#awaitFullIsr(cluster, window.toMs);
      }
      await this.#stop(cluster);
    } catch (error) {
      this.#violate('run', (error as Error).stack ?? String(error));
      window.toMs ||= monotonicMs();
      window.fromMs ||= window.toMs;
    }
    const endMs = monotonicMs();
    await this.close();
    const history = this.#readHistory();
    this.#judge(history, window);
    const since = (atMs: number) => atMs - window.startMs;
    const result: CellResult = {
      cell: cell.name,
      seed,
      network: network.kind,
      figures: figuresOf(history, window),
      group: this.#members && groupFiguresOf(this.#members.histories),
      violations: this.#violations,
      faultFromMs: since(window.fromMs),
      faultToMs: since(window.toMs),
      stopMs: since(Math.min(this.#stopMs, endMs)),
      endMs: since(endMs),
      unseen: this.#unseen,
      fullIsrMs: window.fullIsrMs,
      acks: ackCounts(history, window.startMs),
      changes: (this.#cluster?.view.changes ?? []).map((change) => ({ ...change, atMs: since(change.atMs) })),
      notes: this.#notes.map(({ atMs, text }) => ({ atMs: since(atMs), text })),
      directory,
    };
    writeFileSync(join(directory, 'result.json'), JSON.stringify(result, undefined, 1));
    if (this.#violations.length === 0) rmSync(directory, { recursive: true, force: true });
    return result;
  }

  /** Also in the middle of a run. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      await this.#members?.close();
      await this.#traffic?.close();
      await this.#cluster?.close();
      this.#options.network.heal();
      for (const path of this.#mounts) unmount(path);
    })();
    return this.#closed;
  }

  async #start(): Promise<ChaosCluster> {
    const { cell, network, directory, shim } = this.#options;
    if (cell.fault.needs.includes('mount')) for (const name of brokerNames) this.#mount(join(directory, name, 'data'));
    if (shim !== undefined && cell.fault.needs.includes('shim')) {
      for (const name of nodeNames) {
        mkdirSync(join(directory, name), { recursive: true });
        this.#shims.set(name, new ShimControl(shim, join(directory, name)));
      }
    }
    const cluster = new ChaosCluster({
      directory,
      network,
      brokerSettings: cell.workload.members > 0 ? groupBrokerSettings : {},
      environmentOf: (name) => ({ ...this.#shims.get(name)?.environment, ...mutantEnvironment(this.#options.mutant) }),
    });
    this.#cluster = cluster;
    await cluster.start();
    await cluster.createTopic(topic, cell.workload.partitions, {
      'min.insync.replicas': '2',
      'flush.before.ack': String(cell.workload.flushBeforeAck),
      'segment.bytes': String(cell.workload.segmentBytes),
    });
    return cluster;
  }

  async #startTraffic(cluster: ChaosCluster): Promise<Agent> {
    const { cell, network, directory } = this.#options;
    this.#traffic = new Agent({
      script: new URL('../workload/traffic.ts', import.meta.url),
      commandPrefix: network.commandPrefix(client),
      errorFile: join(directory, 'clients.txt'),
      onStarted: (pid) => network.started(client, pid),
    });
    const options: TrafficOptions = {
      servers: cluster.bootstrapServers,
      topic,
      workload: cell.workload,
      historyFile: this.#historyFile,
      library: this.#options.library,
      groupId: cell.workload.members > 0 ? groupId : undefined,
    };
    await this.#traffic.ask({ command: 'start', options });
    await this.#awaitFirstAcks(this.#traffic);
    return this.#traffic;
  }

  /** Some clients take longer than others until they are there. */
  async #awaitFirstAcks(traffic: Agent): Promise<void> {
    const deadline = monotonicMs() + firstAcksTimeoutMs;
    while ((await traffic.ask({ command: 'acked' })) === 0) {
      if (monotonicMs() > deadline) throw new Error(`nothing was acknowledged within ${firstAcksTimeoutMs} ms`);
      await delay(50);
    }
  }

  async #startMembers({ bootstrapServers: servers }: ChaosCluster): Promise<void> {
    const { cell, network, directory } = this.#options;
    const { members: count, strategy, partitions } = cell.workload;
    if (count === 0) return;
    const members = new GroupMembers({ network, directory, member: { servers, topic, groupId, strategy } });
    this.#members = members;
    await Promise.all(Array.from({ length: count }, () => members.join()));
    await members.awaitAssignment(partitions);
  }

  async #fault(cluster: ChaosCluster): Promise<void> {
    const { cell, faultMs } = this.#options;
    const members = this.#members;
    const context: FaultContext = {
      ...(await this.#targets(cluster)),
      cluster,
      topic,
      partitions: cell.workload.partitions,
      faultMs,
      dice: this.#dice,
      targets: () => this.#targets(cluster),
      shim: (name) => {
        const control = this.#shims.get(name);
        if (control === undefined) throw new Error(`${name} runs without the shim`);
        return control;
      },
      fillDisk: (name) => fill(join(cluster.directory, name, 'data')),
      freeDisk: (name) => rmSync(join(cluster.directory, name, 'data', fillerName), { force: true }),
      get members() {
        if (members === undefined) throw new Error('this workload has no group');
        return members;
      },
      groupCoordinator: () => {
        const leader = cluster.view.partition('__consumer_offsets', 0)?.leader ?? -1;
        return leader > 0 ? `broker-${leader}` : undefined;
      },
      note: (text) => this.#note(text),
      sleep: delay,
    };
    try {
      await cell.fault.run(context);
    } catch (error) {
      this.#violate('liveness', `during the fault: ${(error as Error).message}`);
    }
  }

  async #targets(cluster: ChaosCluster): Promise<Targets> {
    const { view } = cluster;
    const known = () => (view.partition(topic, 0)?.leader ?? -1) > 0 && view.controller > 0;
    if (!(await cluster.waitUntil(known, 20_000))) throw new Error(`no leader or controller: ${view.describe(topic)}`);
    const leader = `broker-${view.partition(topic, 0)?.leader}`;
    const coordinatorLeader = await cluster.coordinatorLeader();
    return {
      leader,
      followers: brokerNames.filter((name) => name !== leader),
      controller: `broker-${view.controller}`,
      coordinatorLeader,
      coordinatorFollowers: coordinatorNames.filter((name) => name !== coordinatorLeader),
    };
  }

  /** Everything back to how it was; whoever is down starts. */
  async #heal(cluster: ChaosCluster): Promise<void> {
    for (const node of cluster.nodes) node.signal('SIGCONT');
    this.#members?.resumeAll();
    this.#options.network.heal();
    for (const control of this.#shims.values()) control.reset();
    for (const name of brokerNames) rmSync(join(cluster.directory, name, 'data', fillerName), { force: true });
    // A process that was on its way down (an fsync failed) is given the moment to end.
    await delay(100);
    await Promise.all(
      cluster.nodes
        .filter((node) => !node.isUp)
        .map(async (node) => {
          this.#note(`${node.name} starts again; it was ${node.reason}`);
          try {
            await node.start();
          } catch (error) {
            if (this.#options.cell.fault.mayStayDown) this.#note((error as Error).message);
            else this.#violate('liveness', `after healing: ${(error as Error).message}`);
          }
        }),
    );
  }

  #isFull({ view }: ChaosCluster): boolean {
    return view.isFull(topic, this.#options.cell.workload.partitions, brokerCount);
  }

  async #awaitFullIsr(cluster: ChaosCluster, healedMs: number): Promise<number | undefined> {
    await Promise.race([cluster.refresh(), delay(fullIsrTimeoutMs)]);
    const leftMs = healedMs + fullIsrTimeoutMs - monotonicMs();
    if (await cluster.waitUntil(() => this.#isFull(cluster), leftMs)) return monotonicMs() - healedMs;
    this.#violate(
      'liveness',
      `the ISR was not full ${fullIsrTimeoutMs} ms after healing: ${cluster.view.describe(topic)}`,
    );
    return undefined;
  }

  async #finalRead(traffic: Agent): Promise<void> {
    this.#unseen = await traffic.ask({ command: 'catch-up', timeoutMs: unseenTimeoutMs });
    if (this.#unseen > 0)
      this.#violate('C11', `${this.#unseen} acknowledged offsets were not polled within ${unseenTimeoutMs} ms`);
    if (this.#members !== undefined) {
      const behind = await traffic.ask({ command: 'group-catch-up', timeoutMs: unseenTimeoutMs });
      if (behind > 0) this.#violate('G1', `the group had ${behind} records to go ${unseenTimeoutMs} ms after healing`);
      await this.#members.close();
    }
    await traffic.ask({ command: 'final-read', timeoutMs: finalReadTimeoutMs });
    this.#isReadToTheEnd = true;
    await traffic.close();
  }

  /** In order: what lies on the disks afterwards is judged. */
  async #stop(cluster: ChaosCluster): Promise<void> {
    await delay(300);
    this.#stopMs = monotonicMs();
    this.#note('the nodes stop in order');
    for (const node of cluster.nodes) {
      if (node.isUp || (this.#options.cell.fault.mayStayDown && node.options.kind === 'coordinator')) continue;
      this.#violate('liveness', `${node.name} died after everything was healed: ${node.reason}`);
    }
    for (const names of [brokerNames, coordinatorNames]) {
      const nodes = names.map((name) => cluster.node(name));
      await Promise.all(
        nodes.map(async (node) => {
          if (node.isUp && !(await node.stop()))
            this.#violate('liveness', `${node.name}: ${node.reason} after SIGTERM`);
        }),
      );
    }
    this.#logs = readReplicaLogs(cluster.directory, brokerNames, topic);
  }

  #judge(history: History, window: { readonly fromMs: number; readonly toMs: number }): void {
    const { fault, workload } = this.#options.cell;
    // Without the final read nothing can be said of what is missing there.
    const judged = checkHistory(history).filter(({ rule }) => this.#isReadToTheEnd || !['C1', 'C8'].includes(rule));
    this.#violations.push(...judged);
    if (this.#logs !== undefined) {
      this.#violations.push(...checkLogs(this.#logs), ...checkAckedOnDisks(history, this.#logs, topic));
    }
    this.#judgeGroup(history, window);
    const figures = figuresOf(history, window);
    if (figures.acked < ackedMin) this.#violate('vacuous', `only ${figures.acked} records were acknowledged`);
    // Sessions end and writes wait, too, where the machine does not run the processes.
    const gapMaxMs = sessionTimeoutMs + resumeSlackMs + workload.clientSlackMs + Math.round(2 * this.#stalledMs);
    if (fault.isSurvivable && figures.longestGapMs > gapMaxMs) {
      this.#violate(
        'liveness',
        `a partition acknowledged nothing for ${Math.round(figures.longestGapMs)} ms, more than ${gapMaxMs}`,
      );
    }
    if (fault.isOrderly && workload.acks === 'all' && figures.failed + figures.unknown > 0) {
      this.#violate('liveness', `${figures.failed + figures.unknown} writes failed although nothing broke`);
    }
  }

  #judgeGroup(history: History, window: { readonly fromMs: number; readonly toMs: number }): void {
    const histories = this.#members?.histories;
    if (histories === undefined) return;
    const judged = checkGroups(history, histories).filter(({ rule }) => this.#isReadToTheEnd || rule !== 'G6');
    this.#violations.push(...judged);
    if (this.#options.cell.fault.isOrderly) this.#violations.push(...checkNoRebalance(histories, window));
    if (history.committed.length === 0) this.#violate('vacuous', 'nobody was told what the group has committed');
  }

  get #historyFile(): string {
    return join(this.#options.directory, 'history.jsonl');
  }

  #readHistory(): History {
    try {
      return parseHistory(readFileSync(this.#historyFile, 'utf8'));
    } catch (error) {
      this.#violate('run', `the history cannot be read: ${(error as Error).message}`);
      return parseHistory('');
    }
  }

  #mount(path: string): void {
    mkdirSync(path, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'naru-chaos', path], { stdio: 'pipe' });
    this.#mounts.push(path);
  }

  #note(text: string): void {
    this.#notes.push({ atMs: monotonicMs(), text });
  }

  #violate(rule: string, message: string): void {
    this.#violations.push({ rule, message });
  }
}

/** Put in by a module hook of Node's, as in the simulation: the nodes run the code of production. */
function mutantEnvironment(mutant: Mutant | undefined): Readonly<Record<string, string>> {
  if (mutant === undefined) return {};
  const preload = new URL('../../simulation/mutants/preload.ts', import.meta.url);
  return { NODE_OPTIONS: `--import=${preload.href}`, NARU_MUTANT: mutant.name };
}

const fillerName = 'filler';

/** Takes all the space that is left, down to the last kilobyte. */
function fill(directory: string): void {
  const filler = openSync(join(directory, fillerName), 'w');
  for (let bytes = 1_048_576; bytes >= 1_024; ) {
    try {
      writeSync(filler, Buffer.alloc(bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      bytes /= 2;
    }
  }
  closeSync(filler);
}

function unmount(path: string): void {
  try {
    execFileSync('umount', ['--lazy', path], { stdio: 'pipe' });
  } catch {
    // Gone already.
  }
}

function ackCounts(history: History, startMs: number): number[] {
  const counts: number[] = [];
  for (const send of history.sends) {
    if (send.outcome !== 'acked') continue;
    const bucket = Math.max(0, Math.floor((send.endedMs - startMs) / ackBucketMs));
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  return Array.from(counts, (count) => count ?? 0);
}

/** mulberry32: the choices of a run follow from its seed; what the machine does with them does not. */
function diceOf(seed: number): Dice {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
