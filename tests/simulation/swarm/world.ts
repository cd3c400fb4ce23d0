import { type Broker, createBroker, parseBrokerConfig } from '@naru/broker';
import { type Coordinator, createCoordinator, parseCoordinatorConfig } from '@naru/coordinator';
import { createSimulation, type Delay, type SimulatedNode, type Simulation } from '@naru/runtime/simulated';
import { Control } from '../checkers/control.ts';
import { Ballots } from './ballots.ts';
import { CrashPoints, type Death } from './crash-points.ts';
import type { Parameters, TopicParameters } from './parameters.ts';
import type { Story } from './story.ts';

export const clientPort = 9092;
const internalPort = 9093;
export const coordinatorPort = 2181;
export const peerPort = 2888;

/** A node that ended by itself (a failed disk, a start without coordinators) is started again after this, as a supervisor would. */
const restartAfterMs = 300;

/** Told when processes come and go. */
export interface Lives {
  brokerStarted(broker: Broker): void;
  /** `broker`: as it was when it died, in the middle of an event perhaps. */
  brokerEnded(id: number, broker: Broker): void;
  coordinatorStarted(id: number, coordinator: Coordinator): void;
  coordinatorEnded(id: number): void;
}

/** Coordinators `c1`…, brokers `b1`… through their composition roots, and the machines `p1`…, `k1`… of clients. */
export class World {
  readonly sim: Simulation;
  readonly parameters: Parameters;
  readonly coordinatorIds: readonly number[];
  readonly brokerIds: readonly number[];
  readonly clientHosts: readonly string[];
  /** Machines of the group's members, clients, too. */
  readonly memberHosts: readonly string[];
  readonly crashPoints: CrashPoints;
  /** What is true, as opposed to what any broker knows. */
  readonly control = new Control();
  readonly ballots = new Ballots();
  readonly #story: Story;
  readonly #lives: Lives[] = [];
  readonly #nodes = new Map<string, SimulatedNode>();
  readonly #brokers = new Map<number, Broker>();
  readonly #coordinators = new Map<number, Coordinator>();
  /** Why nodes ended by themselves: for people. */
  readonly endings: string[] = [];
  /** Coordinators whose disks have failed a sync: what is missing may come to light at any start. */
  readonly forgetful = new Set<string>();
  /** Coordinators that refused what they found on their disks: lost until they get empty ones. */
  readonly refused = new Set<string>();
  /** No supervisor: the script decides when the node starts again. */
  readonly #heldDown = new Set<string>();

  constructor(parameters: Parameters, story: Story) {
    this.parameters = parameters;
    this.#story = story;
    this.sim = createSimulation({
      seed: parameters.seed,
      networkDelay: parameters.networkDelay,
      diskTimes: { operation: { minMs: 0.02, meanMs: 0.05 }, sync: parameters.diskSyncDelay },
    });
    story.clock = () => this.sim.nowMs;
    const idsTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
    this.coordinatorIds = idsTo(parameters.coordinators);
    this.brokerIds = idsTo(parameters.brokers);
    this.memberHosts = idsTo(parameters.group?.styles.length ?? 0).map((id) => `g${id}`);
    this.clientHosts = [
      ...idsTo(parameters.producers.length).map((id) => `p${id}`),
      ...idsTo(parameters.consumers).map((id) => `k${id}`),
      ...this.memberHosts,
      'admin',
    ];
    for (const host of [...this.serverHosts, ...this.clientHosts]) this.#nodes.set(host, this.sim.addNode(host));
    const drift = this.sim.random.fork('wall drift');
    for (const node of this.sim.nodes) node.setWallDrift(parameters.wallDriftMax * (2 * drift.nextFloat() - 1));
    this.restoreDisks();
    this.crashPoints = new CrashPoints((host, how) => this.kill(host, how));
  }

  observe(lives: Lives): void {
    this.#lives.push(lives);
  }

  node(host: string): SimulatedNode {
    const node = this.#nodes.get(host);
    if (node === undefined) throw new Error(`there is no node ${host}`);
    return node;
  }

  /** All disks are as fast as they are in this run. */
  restoreDisks(): void {
    for (const { name, disk } of this.sim.nodes) disk.times = { ...disk.times, sync: this.syncDelayOf(name) };
  }

  syncDelayOf(host: string): Delay {
    return host.startsWith('c') ? this.parameters.coordinatorSyncDelay : this.parameters.diskSyncDelay;
  }

  /** `minInSync` as the topic can have it. */
  topicParameters(name: string): Pick<TopicParameters, 'minInSync' | 'flushBeforeAck'> {
    const topic = this.parameters.topics.find((each) => each.name === name);
    const minInSync = topic?.minInSync ?? Number(this.parameters.brokerSettings['min.insync.replicas']);
    const replicas = this.control.replicasOf(name).length;
    return { minInSync: Math.min(minInSync, replicas), flushBeforeAck: topic?.flushBeforeAck ?? true };
  }

  /** Those that serve, by id. */
  get brokers(): ReadonlyMap<number, Broker> {
    return this.#brokers;
  }

  get coordinators(): ReadonlyMap<number, Coordinator> {
    return this.#coordinators;
  }

  get serverHosts(): readonly string[] {
    return [...this.coordinatorIds.map((id) => `c${id}`), ...this.brokerIds.map((id) => `b${id}`)];
  }

  get bootstrapServers(): readonly string[] {
    return this.brokerIds.map((id) => `b${id}:${clientPort}`);
  }

  startAll(): void {
    for (const host of this.serverHosts) this.#open(host);
  }

  /** kill -9, or the power goes. */
  kill(host: string, how: Death = 'crash'): void {
    const node = this.node(host);
    if (node.paused) node.resume();
    if (how === 'crash') node.crash();
    else if (how === 'power-lost') node.losePower({ unsynced: 'lost' });
    else node.losePower({ silent: how === 'power-silent' });
    this.#ended(host);
    this.#heldDown.add(host);
  }

  /** The machine starts again with an empty disk. */
  replaceDisk(host: string): void {
    this.kill(host);
    this.node(host).disk.replace();
    this.refused.delete(host);
    this.start(host);
  }

  /** Nothing when it runs. */
  start(host: string): void {
    this.#heldDown.delete(host);
    if (this.node(host).alive) return;
    this.node(host).restart();
    this.#open(host);
  }

  /** An orderly end, as after SIGTERM; then the process is gone. */
  async stop(host: string): Promise<void> {
    const node = this.node(host);
    const { runtime } = node;
    const id = idOf(host);
    if (host.startsWith('b')) await this.#brokers.get(id)?.close({ controlled: true });
    else await this.#coordinators.get(id)?.close();
    if (node.runtime !== runtime || !node.alive) return;
    this.kill(host);
  }

  #ended(host: string): void {
    const id = idOf(host);
    if (host.startsWith('c')) {
      if (this.#coordinators.delete(id)) for (const lives of this.#lives) lives.coordinatorEnded(id);
      return;
    }
    const broker = this.#brokers.get(id);
    if (broker === undefined) return;
    this.#brokers.delete(id);
    for (const lives of this.#lives) lives.brokerEnded(id, broker);
  }

  #open(host: string): void {
    const node = this.node(host);
    const { runtime } = node;
    const isCurrent = (): boolean => node.alive && node.runtime === runtime;
    const failed = (error: unknown): void => {
      if (!isCurrent()) return;
      const text = error instanceof Error ? error.message : String(error);
      this.endings.push(`${host}: ${text}`);
      if (host.startsWith('c') && (error as { readonly code?: unknown }).code === 'corrupt') this.refused.add(host);
      this.#story.tell(host, `ends by itself: ${text}`);
      node.crash();
      this.#ended(host);
      this.sim.at(restartAfterMs, () => {
        if (!this.#heldDown.has(host)) this.start(host);
      });
    };
    const opened = host.startsWith('b') ? this.#openBroker(host, isCurrent) : this.#openCoordinator(host, isCurrent);
    opened.then((part) => part?.onFailure(failed), failed);
  }

  async #openBroker(host: string, isCurrent: () => boolean): Promise<Broker | undefined> {
    const id = idOf(host);
    const config = parseBrokerConfig({
      'broker.id': id,
      'log.dirs': '/data',
      listeners: `PLAINTEXT://${host}:${clientPort},INTERNAL://${host}:${internalPort}`,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT',
      'inter.broker.listener.name': 'INTERNAL',
      'coordinator.connect': this.coordinatorIds.map((n) => `c${n}:${coordinatorPort}`),
      ...this.parameters.brokerSettings,
    });
    const runtime = this.crashPoints.guard(host, this.node(host).runtime);
    const broker = await createBroker(runtime, config, { logger: this.#story.loggerOf(host) });
    if (!isCurrent()) return undefined;
    this.#brokers.set(id, broker);
    for (const lives of this.#lives) lives.brokerStarted(broker);
    return broker;
  }

  async #openCoordinator(host: string, isCurrent: () => boolean): Promise<Coordinator | undefined> {
    const id = idOf(host);
    const config = parseCoordinatorConfig({
      'node.id': id,
      'data.dir': '/coordinator',
      'listen.host': host,
      'client.port': coordinatorPort,
      'peer.port': peerPort,
      members: this.coordinatorIds.map((n) => `${n}@c${n}:${peerPort}:${coordinatorPort}`),
      ...this.parameters.coordinatorSettings,
    });
    const guarded = this.crashPoints.guard(host, this.node(host).runtime);
    const runtime = this.parameters.weather === 'duels' ? this.ballots.guard(id, guarded) : guarded;
    const coordinator = await createCoordinator(runtime, config, { logger: this.#story.loggerOf(host) });
    if (!isCurrent()) return undefined;
    this.#coordinators.set(id, coordinator);
    for (const lives of this.#lives) lives.coordinatorStarted(id, coordinator);
    return coordinator;
  }
}

export function idOf(host: string): number {
  return Number(host.slice(1));
}
