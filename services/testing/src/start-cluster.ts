import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, createBroker, parseBrokerConfig } from '@naru/broker';
import { type Coordinator, createCoordinator, parseCoordinatorConfig } from '@naru/coordinator';
import { type Logger, silentLogger } from '@naru/observability';
import { formatAddress } from '@naru/runtime';
import { createNodeRuntime } from '@naru/runtime/node';
import { ContainedNode } from './contained-node.ts';

const host = '127.0.0.1';

/** What kind of cluster is started. */
export interface ClusterOptions {
  /** Default 3; their ids are 1, 2, … */
  readonly brokers?: number;
  /** Settings of every broker, by Kafka's names. Without them a topic has up to 3 replicas, 2 of them in sync, and a group does not wait for further members. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** Kept when given; otherwise a temporary directory that goes with the cluster. */
  readonly dataDirectory?: string;
  readonly logger?: Logger;
}

/** A cluster in the calling process: one coordinator and some brokers, on free ports of the loopback interface. */
export interface TestCluster extends AsyncDisposable {
  /** All brokers, killed ones included: their ports stay theirs. */
  readonly bootstrapServers: string;
  readonly brokerIds: readonly number[];
  /** As kill -9: no orderly end, nothing is flushed, connections are reset. */
  kill(brokerId: number): Promise<void>;
  /** Starts a killed broker again on its directory and ports; one that lives is ended in order first. */
  restart(brokerId: number): Promise<void>;
  /** Cuts these brokers off from everybody: each other, the coordinator, clients. */
  isolate(brokerIds: readonly number[]): void;
  /** Ends every isolation. */
  heal(): void;
  /** Ends all nodes and removes the temporary directory. */
  stop(): Promise<void>;
}

interface Member {
  readonly id: number;
  node: ContainedNode;
  broker: Broker | undefined;
  /** Taken at the first start, kept for every later one. */
  port: number;
}

/** Resolves when every broker serves and knows every other. Fails with what the first failing node said. */
export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const directory = options.dataDirectory ?? (await mkdtemp(join(tmpdir(), 'naru-test-')));
  const cluster = new Cluster(options, directory);
  try {
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

class Cluster implements TestCluster {
  readonly #options: ClusterOptions;
  readonly #directory: string;
  readonly #members: Member[];
  #coordinator: Coordinator | undefined;

  constructor(options: ClusterOptions, directory: string) {
    this.#options = options;
    this.#directory = directory;
    this.#members = Array.from({ length: options.brokers ?? 3 }, (_, i) => ({
      id: i + 1,
      node: new ContainedNode(),
      broker: undefined,
      port: 0,
    }));
  }

  get bootstrapServers(): string {
    return this.#members.map(({ port }) => formatAddress({ host, port })).join(',');
  }

  get brokerIds(): readonly number[] {
    return this.#members.map(({ id }) => id);
  }

  async start(): Promise<void> {
    const config = parseCoordinatorConfig({
      'node.id': 1,
      'data.dir': join(this.#directory, 'coordinator-1'),
      'client.port': 0,
      'peer.port': 0,
      // There is no network between the nodes that could hide a living one.
      'session.disconnect.grace.ms': 100,
    });
    const runtime = createNodeRuntime();
    await runtime.disk.makeDirectory(config['data.dir']);
    this.#coordinator = await createCoordinator(runtime, config, { logger: this.#logger('coordinator-1') });
    await Promise.all(this.#members.map((member) => this.#startBroker(member)));
    await Promise.all(this.#members.map(({ broker }) => this.#seesAll(broker as Broker)));
  }

  async kill(brokerId: number): Promise<void> {
    const member = this.#member(brokerId);
    member.broker = undefined;
    await member.node.kill();
  }

  async restart(brokerId: number): Promise<void> {
    const member = this.#member(brokerId);
    await member.broker?.close({ controlled: true });
    member.node = new ContainedNode();
    await this.#startBroker(member);
  }

  isolate(brokerIds: readonly number[]): void {
    for (const id of brokerIds) this.#member(id).node.network.isolate();
  }

  heal(): void {
    for (const { node } of this.#members) node.network.heal();
  }

  async stop(): Promise<void> {
    const keeps = this.#options.dataDirectory !== undefined;
    // What is thrown away with its directory needs no orderly end.
    await Promise.all(this.#members.map(({ node, broker }) => (keeps ? broker?.close() : node.kill())));
    await this.#coordinator?.close();
    if (!keeps) await rm(this.#directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #startBroker(member: Member): Promise<void> {
    const { id, node, port } = member;
    const brokers = this.#members.length;
    const config = parseBrokerConfig({
      'default.replication.factor': Math.min(3, brokers),
      'min.insync.replicas': Math.min(2, brokers),
      'log.segment.delete.delay.ms': 0,
      // A group's first member begins to read at once.
      'group.initial.rebalance.delay.ms': 0,
      ...this.#options.settings,
      'broker.id': id,
      'log.dirs': join(this.#directory, `broker-${id}`),
      listeners: `PLAINTEXT://${host}:${port}`,
      'coordinator.connect': formatAddress((this.#coordinator as Coordinator).clientAddress),
    });
    await node.runtime.disk.makeDirectory(config['log.dirs']);
    const broker = await createBroker(node.runtime, config, { logger: this.#logger(`broker-${id}`) });
    member.broker = broker;
    member.port = broker.endpoints[0]?.address.port ?? 0;
  }

  /** Topics can be created from here on, whoever is asked. */
  async #seesAll({ publisher }: Broker): Promise<void> {
    await publisher.waitUntil(
      ({ brokers, controllerId }) => brokers.size === this.#members.length && brokers.has(controllerId),
    );
  }

  #member(brokerId: number): Member {
    const member = this.#members.find(({ id }) => id === brokerId);
    if (member === undefined)
      throw new RangeError(`there is no broker ${brokerId}; there are ${this.brokerIds.join(', ')}`);
    return member;
  }

  #logger(name: string): Logger {
    return (this.#options.logger ?? silentLogger).child({ name });
  }
}
