import { type Broker, createBroker, parseBrokerConfig } from '@naru/broker';
import { type Coordinator, createCoordinator, parseCoordinatorConfig } from '@naru/coordinator';
import type { Logger } from '@naru/observability';
import { silentLogger } from '@naru/observability';
import { brokerMethods, createRpc } from '@naru/rpc';
import type { Runtime } from '@naru/runtime';
import { createSimulation, type SimulatedNode, type Simulation } from '@naru/runtime/simulated';

export interface ClusterOptions {
  readonly seed: number | string;
  readonly brokers?: number;
  readonly coordinators?: number;
  readonly brokerConfig?: Readonly<Record<string, unknown>>;
  readonly logger?: (name: string) => Logger;
}

const clientPort = 9092;
const coordinatorPort = 2181;
const peerPort = 2888;

/** Coordinators `c1`…, brokers `b1`… and a machine `client`, in one process under a seed. */
export class SimulatedCluster {
  readonly sim: Simulation;
  readonly client: SimulatedNode;
  readonly #options: ClusterOptions;
  readonly #brokerNodes = new Map<number, SimulatedNode>();
  readonly #brokers = new Map<number, Broker>();
  readonly #coordinatorNodes = new Map<number, SimulatedNode>();
  readonly #coordinators = new Map<number, Coordinator>();
  readonly failures: Error[] = [];

  private constructor(options: ClusterOptions) {
    this.#options = options;
    this.sim = createSimulation({ seed: options.seed });
    this.client = this.sim.addNode('client');
    for (let id = 1; id <= (options.coordinators ?? 3); id++)
      this.#coordinatorNodes.set(id, this.sim.addNode(`c${id}`));
    for (let id = 1; id <= (options.brokers ?? 3); id++) this.#brokerNodes.set(id, this.sim.addNode(`b${id}`));
  }

  static async start(options: ClusterOptions): Promise<SimulatedCluster> {
    const cluster = new SimulatedCluster(options);
    const { sim } = cluster;
    await sim.complete(cluster.#startAll());
    await sim.runUntil(() =>
      cluster.brokers.every((b) => b.publisher.image.brokers.size === cluster.#brokerNodes.size),
    );
    return cluster;
  }

  get brokerIds(): readonly number[] {
    return [...this.#brokerNodes.keys()];
  }

  /** Those that run. */
  get brokers(): readonly Broker[] {
    return [...this.#brokers.values()];
  }

  broker(id: number): Broker {
    const broker = this.#brokers.get(id);
    if (broker === undefined) throw new Error(`broker ${id} does not run`);
    return broker;
  }

  node(name: string): SimulatedNode {
    const node = this.sim.nodes.find((n) => n.name === name);
    if (node === undefined) throw new Error(`there is no node ${name}`);
    return node;
  }

  crashBroker(id: number): void {
    this.node(`b${id}`).crash();
    this.#brokers.delete(id);
  }

  /** An orderly end. */
  async closeBroker(id: number): Promise<void> {
    const broker = this.broker(id);
    await broker.close({ controlled: true });
    this.#brokers.delete(id);
  }

  losePowerOfBroker(id: number): void {
    this.node(`b${id}`).losePower();
    this.#brokers.delete(id);
  }

  async restartBroker(id: number): Promise<void> {
    this.node(`b${id}`).restart();
    await this.sim.complete(this.#startBroker(id));
  }

  get coordinatorIds(): readonly number[] {
    return [...this.#coordinatorNodes.keys()];
  }

  crashCoordinator(id: number): void {
    this.node(`c${id}`).crash();
    this.#coordinators.delete(id);
  }

  async restartCoordinator(id: number): Promise<void> {
    this.node(`c${id}`).restart();
    await this.sim.complete(this.#startCoordinator(id));
  }

  /** In the background: it may be that it cannot start before something else heals. */
  restartLater(id: number): void {
    this.node(`b${id}`).restart();
    this.#startBroker(id).catch((error: unknown) => {
      if (this.node(`b${id}`).alive) this.failures.push(error instanceof Error ? error : new Error(String(error)));
    });
  }

  losePowerOfAll(): void {
    for (const id of this.#brokerNodes.keys()) this.losePowerOfBroker(id);
    for (const id of this.#coordinatorNodes.keys()) {
      this.node(`c${id}`).losePower();
      this.#coordinators.delete(id);
    }
  }

  async restartAll(): Promise<void> {
    for (const id of this.#coordinatorNodes.keys()) this.node(`c${id}`).restart();
    for (const id of this.#brokerNodes.keys()) this.node(`b${id}`).restart();
    await this.sim.complete(this.#startAll());
  }

  async createTopic(
    name: string,
    partitions: number,
    replicas: number,
    configs: Record<string, string> = {},
  ): Promise<void> {
    const channel = await this.sim.complete(this.rpc.connect({ host: 'b1', port: clientPort }));
    const response = await this.sim.complete(
      channel.call(brokerMethods.createTopics, {
        topics: [
          {
            name,
            topicId: '',
            numPartitions: partitions,
            replicationFactor: replicas,
            assignments: [],
            configs,
          },
        ],
        timeoutMs: 10_000,
        validateOnly: false,
      }),
    );
    const [result] = response.topics;
    if (result?.errorCode !== 0) throw new Error(`topic ${name}: ${result?.errorCode} ${result?.errorMessage}`);
    await this.sim.complete(channel.close());
  }

  /** Who leads the partition, as the newest picture of any broker says; undefined when nobody does. */
  leaderOf(topic: string, partition: number): number | undefined {
    const newest = this.brokers.map((b) => b.publisher.image).sort((a, b) => b.zxid - a.zxid)[0];
    const leader = newest?.topics.get(topic)?.partitions[partition]?.state?.leader ?? -1;
    return leader >= 0 && this.#brokers.has(leader) ? leader : undefined;
  }

  /** The log of a new topic is made a moment after the topic. */
  async untilLed(topic: string, partition: number): Promise<number> {
    const isLed = (): boolean => {
      const leader = this.leaderOf(topic, partition);
      if (leader === undefined) return false;
      const found = this.broker(leader).replicas.find(topic, '', partition);
      return found.kind === 'partition' && found.partition.isLeader;
    };
    await this.sim.runUntil(isLed);
    return this.leaderOf(topic, partition) as number;
  }

  isrOf(topic: string, partition: number): readonly number[] {
    const newest = this.brokers.map((b) => b.publisher.image).sort((a, b) => b.zxid - a.zxid)[0];
    const state = newest?.topics.get(topic)?.partitions[partition]?.state;
    return state?.isr.map((member) => member.brokerId) ?? [];
  }

  /** A fresh one for each use, of the client's machine. */
  get rpc(): ReturnType<typeof createRpc> {
    return createRpc(this.client.runtime);
  }

  addressOf(brokerId: number): { readonly host: string; readonly port: number } {
    return { host: `b${brokerId}`, port: clientPort };
  }

  async #startAll(): Promise<void> {
    await Promise.all([
      ...[...this.#coordinatorNodes.keys()].map((id) => this.#startCoordinator(id)),
      ...[...this.#brokerNodes.keys()].map((id) => this.#startBroker(id)),
    ]);
  }

  async #startCoordinator(id: number): Promise<void> {
    const members = [...this.#coordinatorNodes.keys()].map((n) => `${n}@c${n}:${peerPort}:${coordinatorPort}`);
    const config = parseCoordinatorConfig({
      'node.id': id,
      'data.dir': '/coordinator',
      'listen.host': `c${id}`,
      'client.port': coordinatorPort,
      'peer.port': peerPort,
      members,
    });
    const { runtime } = this.node(`c${id}`);
    this.#coordinators.set(id, await createCoordinator(runtime, config, { logger: this.#logger(`c${id}`) }));
  }

  async #startBroker(id: number): Promise<void> {
    const config = parseBrokerConfig({
      'broker.id': id,
      'log.dirs': '/data',
      listeners: `PLAINTEXT://b${id}:${clientPort}`,
      'coordinator.connect': [...this.#coordinatorNodes.keys()].map((n) => `c${n}:${coordinatorPort}`),
      ...this.#options.brokerConfig,
    });
    const runtime: Runtime = this.node(`b${id}`).runtime;
    const broker = await createBroker(runtime, config, { logger: this.#logger(`b${id}`) });
    if (this.node(`b${id}`).runtime !== runtime) return;
    broker.onFailure((error) => this.failures.push(error));
    this.#brokers.set(id, broker);
  }

  #logger(name: string): Logger {
    return this.#options.logger?.(name) ?? silentLogger;
  }
}
