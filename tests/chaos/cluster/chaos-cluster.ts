import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatProperties } from '@naru/config';
import type { MembershipChangeKind } from '@naru/coordinator-client';
import { type ChaosNetwork, client, type Endpoint, observer } from '../network/network.ts';
import type { ProxiedPort } from '../network/proxies.ts';
import { Agent } from './agent.ts';
import { ClusterView } from './cluster-view.ts';
import { delay } from './monotonic.ts';
import { ChaosNode, type NodeKind } from './node.ts';

export const brokerCount = 3;
export const coordinatorCount = 3;
export const sessionTimeoutMs = 2_000;

const ports = { client: 9092, internal: 9093, coordinatorClient: 2181, coordinatorPeer: 2888 };

export const brokerNames: readonly Endpoint[] = Array.from({ length: brokerCount }, (_, i) => `broker-${i + 1}`);
export const coordinatorNames: readonly Endpoint[] = Array.from(
  { length: coordinatorCount },
  (_, i) => `coordinator-${i + 1}`,
);
export const nodeNames: readonly Endpoint[] = [...coordinatorNames, ...brokerNames];
export const endpoints: readonly Endpoint[] = [...nodeNames, client, observer];

/** For a network that has to know them beforehand. */
export const proxiedPorts: readonly ProxiedPort[] = [
  ...brokerNames.flatMap((endpoint) => [ports.client, ports.internal].map((port) => ({ endpoint, port }))),
  ...coordinatorNames.flatMap((endpoint) =>
    [ports.coordinatorClient, ports.coordinatorPeer].map((port) => ({ endpoint, port })),
  ),
];

export interface ChaosClusterOptions {
  readonly directory: string;
  readonly network: ChaosNetwork;
  readonly brokerSettings: Readonly<Record<string, string>>;
  /** Environment of one node's process. */
  readonly environmentOf: (name: Endpoint) => Readonly<Record<string, string>>;
}

/** Three coordinators and three brokers as processes, each at its own place in a network that can be broken. */
export class ChaosCluster {
  readonly view = new ClusterView();
  readonly directory: string;
  readonly network: ChaosNetwork;
  readonly #nodes = new Map<Endpoint, ChaosNode>();
  readonly #observer: Agent;

  constructor(options: ChaosClusterOptions) {
    this.directory = options.directory;
    this.network = options.network;
    for (const name of nodeNames) this.#nodes.set(name, this.#makeNode(name, options));
    this.#observer = new Agent({
      script: new URL('./observer.ts', import.meta.url),
      commandPrefix: this.network.commandPrefix(observer),
      errorFile: join(this.directory, 'observer.txt'),
      onMessage: (message) => this.view.learn(message),
      onStarted: (pid) => this.network.started(observer, pid),
    });
  }

  get bootstrapServers(): string {
    return brokerNames.map((name) => `${this.network.advertisedHost(name)}:${ports.client}`).join(',');
  }

  get coordinatorAddresses(): string[] {
    return coordinatorNames.map((name) => `${this.network.advertisedHost(name)}:${ports.coordinatorClient}`);
  }

  get nodes(): readonly ChaosNode[] {
    return [...this.#nodes.values()];
  }

  node(name: Endpoint): ChaosNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`no node '${name}'`);
    return node;
  }

  async start(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.start()));
    await this.#observer.ask({ command: 'watch', coordinators: this.coordinatorAddresses });
  }

  /** All of them, also when one cannot; then fails with its reason. */
  async startNodes(names: readonly Endpoint[]): Promise<void> {
    const outcomes = await Promise.allSettled(names.map((name) => this.node(name).start()));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** Resolves when the coordinators answer the observer: what it tells is not of before a fault. */
  async refresh(): Promise<void> {
    await this.#observer.ask({ command: 'refresh' });
  }

  async createTopic(name: string, partitions: number, configs: Readonly<Record<string, string>>): Promise<void> {
    const topic = { name, partitions, replicationFactor: brokerCount, configs };
    await this.#observer.ask({ command: 'create-topic', servers: this.bootstrapServers, topic });
    if (!(await this.waitUntil(() => this.view.isFull(name, partitions, brokerCount), 15_000))) {
      throw new Error(`the ISRs of ${name} were not full: ${this.view.describe(name)}`);
    }
  }

  /** Name of the coordinator that leads. */
  async coordinatorLeader(): Promise<Endpoint> {
    for (let attempt = 0; attempt < 20; attempt++) {
      const number = await this.#observer.ask({
        command: 'coordinator-leader',
        coordinators: this.coordinatorAddresses,
      });
      if (number > 0) return `coordinator-${number}`;
      await delay(200);
    }
    throw new Error('no coordinator leads');
  }

  /** Begins to move a partition's replicas; the first one is to lead. */
  async reassign(topic: string, partition: number, replicas: readonly number[]): Promise<void> {
    await this.#observer.ask({ command: 'reassign', servers: this.bootstrapServers, topic, partition, replicas });
  }

  /** One change of the coordinators' members; `name`: who comes, counts from now on, or goes. */
  async changeMembers(change: MembershipChangeKind, name: Endpoint): Promise<void> {
    const host = this.network.advertisedHost(name);
    const member = {
      id: Number(name.split('-')[1]),
      peerAddress: `${host}:${ports.coordinatorPeer}`,
      clientAddress: `${host}:${ports.coordinatorClient}`,
      voter: change !== 'add-learner',
    };
    const leaderHost = this.network.advertisedHost(await this.coordinatorLeader());
    const leader = `${leaderHost}:${ports.coordinatorClient}`;
    await this.#observer.ask({ command: 'change-members', leader, change, member });
  }

  async waitUntil(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      if (performance.now() > deadline) return false;
      await delay(25);
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#observer.close();
    for (const node of this.nodes) node.signal('SIGCONT');
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  #makeNode(name: Endpoint, options: ChaosClusterOptions): ChaosNode {
    const [kind, id] = name.split('-') as [NodeKind, string];
    const directory = join(this.directory, name);
    mkdirSync(directory, { recursive: true });
    const properties = join(directory, `${kind}.properties`);
    const settings =
      kind === 'broker' ? this.#brokerSettings(name, directory) : this.#coordinatorSettings(name, directory);
    const own = kind === 'broker' ? options.brokerSettings : {};
    writeFileSync(properties, formatProperties({ ...settings, ...own }));
    return new ChaosNode({
      name,
      kind,
      id: Number(id),
      directory,
      properties,
      commandPrefix: this.network.commandPrefix(name),
      environment: options.environmentOf(name),
      onStarted: (pid) => this.network.started(name, pid),
    });
  }

  #coordinatorSettings(name: Endpoint, directory: string): Record<string, string> {
    const members = coordinatorNames.map(
      (member, i) =>
        `${i + 1}@${this.network.advertisedHost(member)}:${ports.coordinatorPeer}:${ports.coordinatorClient}`,
    );
    return {
      'node.id': name.split('-')[1] as string,
      'data.dir': join(directory, 'data'),
      'log.file': join(directory, 'node.log'),
      'listen.host': this.network.listenHost(name),
      'client.port': String(ports.coordinatorClient),
      'peer.port': String(ports.coordinatorPeer),
      members: members.join(','),
      // Small enough that a run takes and sends snapshots.
      'snapshot.threshold.entries': '64',
    };
  }

  #brokerSettings(name: Endpoint, directory: string): Record<string, string> {
    return {
      'broker.id': name.split('-')[1] as string,
      'node.dir': directory,
      'log.dirs': join(directory, 'data'),
      listeners: listenersAt(this.network.listenHost(name)),
      'advertised.listeners': listenersAt(this.network.advertisedHost(name)),
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT',
      'inter.broker.listener.name': 'INTERNAL',
      'coordinator.connect': this.coordinatorAddresses.join(','),
      'default.replication.factor': '3',
      'min.insync.replicas': '2',
      'session.timeout.ms': String(sessionTimeoutMs),
      'replica.lag.time.max.ms': '2500',
      'log.flush.offset.checkpoint.interval.ms': '1000',
      'leader.imbalance.check.interval.seconds': '5',
    };
  }
}

function listenersAt(host: string): string {
  return `PLAINTEXT://${host}:${ports.client},INTERNAL://${host}:${ports.internal}`;
}
