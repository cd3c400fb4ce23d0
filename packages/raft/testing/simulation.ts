import type { Configuration, NodeId } from '../src/types.ts';
import { Checkers } from './checkers.ts';
import { type ClusterOptions, type Envelope, SimulatedNode } from './cluster.ts';
import { Prng } from './prng.ts';
import type { Rules } from './rules.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly size: 3 | 5;
  readonly steps: number;
  readonly rules: Rules;
  readonly changesMembers: boolean;
}

/** What a run did; a run in which nothing happened proves nothing. */
export interface SimulationReport {
  readonly committed: number;
  readonly terms: number;
  readonly reads: number;
  readonly snapshotsInstalled: number;
  readonly crashes: number;
  readonly configurations: number;
}

/** Messages on their way at once; the oldest are lost beyond it. */
const networkMessagesMax = 200;
const healRoundsMax = 3_000;

/**
 * A cluster in which everything goes wrong that may go wrong: messages are lost, doubled and reordered, links are cut one way, nodes
 * crash and lose what was not synced, disks are slow, members change. Every choice comes from the seed.
 */
export class Simulation {
  readonly #options: SimulationOptions;
  readonly #random: Prng;
  readonly #nodes: SimulatedNode[];
  readonly #checkers = new Checkers();
  #network: Envelope[] = [];
  #cut = new Set<string>();
  #proposals = 0;
  #crashes = 0;
  #configurations = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = new Prng(options.seed);
    const members = Array.from({ length: options.size }, (_, at) => at + 1);
    const spare = options.changesMembers ? [options.size + 1, options.size + 2] : [];
    const configuration: Configuration = { voters: members, outgoing: [], learners: [] };
    const nodes = [...members, ...spare];
    const clusterOptions: ClusterOptions = {
      nodes,
      configuration,
      rules: options.rules,
      random: this.#random,
      checkers: this.#checkers,
      limits: { appendBytesMax: 24, inflightAppendsMax: 4, applyEntriesMax: 3 },
    };
    this.#nodes = nodes.map((id) => new SimulatedNode(id, clusterOptions, (envelope) => this.#send(envelope)));
    for (const node of this.#nodes) node.start();
  }

  run(): SimulationReport {
    for (let step = 0; step < this.#options.steps; step += 1) this.#event();
    this.#heal();
    return {
      committed: this.#checkers.committedMax,
      terms: this.#checkers.terms,
      reads: this.#nodes.reduce((sum, node) => sum + node.reads, 0),
      snapshotsInstalled: this.#nodes.reduce((sum, node) => sum + node.snapshotsInstalled, 0),
      crashes: this.#crashes,
      configurations: this.#configurations,
    };
  }

  #send(envelope: Envelope): void {
    if (this.#network.length >= networkMessagesMax) this.#lose(this.#network.shift() as Envelope);
    this.#network.push(envelope);
  }

  #lose({ message }: Envelope): void {
    if (message.kind === 'snapshot') this.#node(message.from).raft?.reportSnapshot(message.to, false);
  }

  #node(id: NodeId): SimulatedNode {
    return this.#nodes[id - 1] as SimulatedNode;
  }

  #event(): void {
    const random = this.#random;
    const dice = random.int(1000);
    const node = random.pick(this.#nodes);
    if (dice < 450) this.#deliver();
    else if (dice < 650) this.#tick(node);
    else if (dice < 800) node.finishWrite();
    else if (dice < 900) this.#propose();
    else if (dice < 940) node.read();
    else if (dice < 950) node.compact(random.int(6));
    else if (dice < 965) this.#crash(node);
    else if (dice < 985) this.#restartOne();
    else if (dice < 991) this.#cutOrJoin();
    else if (dice < 994) this.#transferOrSuspect(node);
    else this.#changeMembers(node);
  }

  #tick(node: SimulatedNode): void {
    node.raft?.tick();
    node.work();
  }

  #deliver(): void {
    if (this.#network.length === 0) return;
    const random = this.#random;
    // Mostly the oldest, sometimes any.
    const at = random.chance(0.7) ? 0 : random.int(this.#network.length);
    const envelope = this.#network[at] as Envelope;
    if (!random.chance(0.05)) this.#network.splice(at, 1);
    const { from, to } = envelope.message;
    if (random.chance(0.05) || this.#cut.has(`${from}→${to}`) || !this.#node(to).raft) this.#lose(envelope);
    else this.#node(to).receive(envelope);
  }

  #propose(): void {
    for (const node of this.#nodes) {
      if (node.raft?.status().role !== 'leader') continue;
      this.#proposals += 1;
      node.raft.propose(Buffer.from(`p${this.#proposals}`));
      node.work();
    }
  }

  #crash(node: SimulatedNode): void {
    if (node.raft === undefined) return;
    this.#crashes += 1;
    node.crash();
  }

  #restartOne(): void {
    this.#nodes.find((node) => node.raft === undefined)?.start();
  }

  #cutOrJoin(): void {
    if (this.#cut.size > 0 && this.#random.chance(0.6)) {
      this.#cut.clear();
      return;
    }
    const lonely = this.#random.pick(this.#nodes).id;
    const bothWays = this.#random.chance(0.7);
    for (const { id } of this.#nodes) {
      if (id === lonely) continue;
      this.#cut.add(`${lonely}→${id}`);
      if (bothWays) this.#cut.add(`${id}→${lonely}`);
    }
  }

  #transferOrSuspect(node: SimulatedNode): void {
    if (this.#random.chance(0.5)) node.raft?.suspectLeader();
    else node.raft?.transferLeadership(this.#random.pick(this.#nodes).id);
    node.work();
  }

  #changeMembers(node: SimulatedNode): void {
    if (!this.#options.changesMembers || node.raft === undefined) return;
    const ids = this.#nodes.map(({ id }) => id).filter(() => this.#random.chance(0.7));
    const learners = ids.filter(() => this.#random.chance(0.2));
    const voters = ids.filter((id) => !learners.includes(id));
    if (voters.length < 3) return;
    if (node.raft.proposeConfiguration({ voters, learners }).ok) this.#configurations += 1;
    node.work();
  }

  /** Liveness: when faults stop, a leader is found and everybody gets everything. */
  #heal(): void {
    this.#cut.clear();
    for (const node of this.#nodes) if (node.raft === undefined) node.start();
    for (let round = 0; round < healRoundsMax; round += 1) {
      for (const node of this.#nodes) this.#tick(node);
      for (const envelope of this.#network.splice(0)) this.#node(envelope.message.to).receive(envelope);
      for (const node of this.#nodes) node.finishWrite();
      if (round % 50 === 0) this.#propose();
      if (round % 50 === 49 && this.#converged()) return;
    }
    const states = this.#nodes.map((node) => describeStatus(node));
    throw new Error(`no convergence after the faults stopped\n${states.join('\n')}`);
  }

  #converged(): boolean {
    const leader = this.#nodes.find((node) => node.raft?.status().role === 'leader');
    const status = leader?.raft?.status();
    if (status === undefined || status.commitIndex < this.#checkers.committedMax) return false;
    if (status.configuration.outgoing.length > 0 || status.commitIndex !== status.lastIndex) return false;
    const { voters, learners } = status.configuration;
    return [...voters, ...learners].every((id) => this.#node(id).applied === status.commitIndex);
  }
}

function describeStatus(node: SimulatedNode): string {
  const status = node.raft?.status();
  const { progress, configuration, ...rest } = status ?? {};
  return JSON.stringify({ ...rest, configuration, progress: [...(progress ?? [])] });
}
