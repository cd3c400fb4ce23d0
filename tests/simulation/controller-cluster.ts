import { type Coordinator, createCoordinator, parseCoordinatorConfig } from '@naru/coordinator';
import { openSession } from '@naru/coordinator-client';
import { silentLogger } from '@naru/observability';
import { controllerMethods, createRpc, type broker as messages, type RpcServer, unary } from '@naru/rpc';
import { assert, type Runtime } from '@naru/runtime';
import { createSimulation, type SimulatedNode, type Simulation } from '@naru/runtime/simulated';
import { ClusterMembership } from '../../services/broker/src/cluster/membership.ts';
import type { MetadataImage, TopicImage } from '../../services/broker/src/cluster/metadata-image.ts';
import { MetadataPublisher } from '../../services/broker/src/cluster/metadata-publisher.ts';
import { nextElr, noLeader, type PartitionState } from '../../services/broker/src/cluster/partition-state.ts';
import { PartitionStateWriter } from '../../services/broker/src/cluster/partition-state-writer.ts';
import { Controller } from '../../services/broker/src/controller/controller.ts';
import { ControllerForwarder } from '../../services/broker/src/controller/forwarder.ts';
import { logConfigDefinition } from '../../services/broker/src/log/log-config.ts';
import type { AdminDependencies } from '../../services/broker/src/requests/admin-dependencies.ts';
import { alterConfigsAtController } from '../../services/broker/src/requests/alter-configs.ts';
import {
  controlledShutdownAtController,
  leaveGracefully,
} from '../../services/broker/src/requests/controlled-shutdown.ts';
import { createPartitionsAtController } from '../../services/broker/src/requests/create-partitions.ts';
import { createTopicsAtController } from '../../services/broker/src/requests/create-topics.ts';
import { deleteTopicsAtController } from '../../services/broker/src/requests/delete-topics.ts';

const minInsyncReplicas = 2;
const listener = 'PLAINTEXT';
const port = 9092;

/** A broker without logs: its place in the cluster, its picture of it, the controller, and ISR changes as replication makes them. */
export class MetadataBroker {
  readonly id: number;
  readonly publisher: MetadataPublisher;
  readonly membership: ClusterMembership;
  readonly controller: Controller;
  readonly forwarder: ControllerForwarder;
  readonly admin: AdminDependencies;
  readonly writer: PartitionStateWriter;
  readonly #runtime: Runtime;
  #server: RpcServer | undefined;

  constructor(id: number, runtime: Runtime, servers: readonly string[], directoryId: string) {
    this.id = id;
    this.#runtime = runtime;
    const { timers, clock, random } = runtime;
    const rpc = createRpc(runtime);
    this.publisher = new MetadataPublisher({ timers, logger: silentLogger });
    this.membership = new ClusterMembership({
      openSession: (signal) => openSession(runtime, { servers, signal }),
      sessionTimeoutMs: 6_000,
      identity: {
        brokerId: id,
        endpoints: [{ listener, protocol: 'PLAINTEXT', address: { host: `b${id}`, port } }],
        rack: undefined,
        directoryId,
        damaged: new Map(),
      },
      clusterId: undefined,
      publisher: this.publisher,
      timers,
      random,
      logger: silentLogger,
    });
    this.controller = new Controller({
      publisher: this.publisher,
      membership: this.membership,
      topicConfig: logConfigDefinition,
      dynamicConfig: logConfigDefinition,
      settings: {
        numPartitions: 1,
        defaultReplicationFactor: 3,
        minInsyncReplicas,
        uncleanLeaderElection: false,
        deleteTopicEnable: true,
        autoLeaderRebalance: true,
        leaderImbalancePercentage: 0,
        leaderImbalanceCheckIntervalMs: 20_000,
      },
      timers,
      clock,
      random,
      logger: silentLogger,
    });
    const { publisher, controller } = this;
    this.forwarder = new ControllerForwarder({
      rpc,
      interBrokerListener: listener,
      publisher,
      controller,
      timers,
      clock,
      logger: silentLogger,
    });
    this.admin = { publisher, forwarder: this.forwarder, clock, random };
    this.writer = new PartitionStateWriter(
      () => this.membership.session,
      (name) => this.publisher.image?.topics.get(name),
    );
  }

  async start(): Promise<void> {
    const { controller } = this;
    this.#server = await createRpc(this.#runtime).serve({ host: `b${this.id}`, port }, [
      unary(controllerMethods.createTopics, (request) => createTopicsAtController(controller, request)),
      unary(controllerMethods.deleteTopics, (request) => deleteTopicsAtController(controller, request)),
      unary(controllerMethods.createPartitions, (request) => createPartitionsAtController(controller, request)),
      unary(controllerMethods.alterConfigs, (request) => alterConfigsAtController(controller, request)),
      unary(controllerMethods.controlledShutdown, (request) => controlledShutdownAtController(controller, request)),
    ]);
    controller.start();
    await this.membership.start();
  }

  async stop(): Promise<void> {
    this.controller.stop();
    await this.forwarder.close();
    await this.membership.stop();
    await this.#server?.close();
  }

  get image(): MetadataImage {
    return this.publisher.image;
  }

  /** Admits every live replica to the ISR of what this broker leads, as if all had caught up. */
  admitFollowers(): void {
    for (const topic of this.image.topics.values()) {
      for (const [partition, { state, stateVersion, replicas }] of topic.partitions.entries()) {
        const self = this.membership.self;
        if (state === undefined || self === undefined || state.leader !== this.id) continue;
        if (!state.isr.some((m) => m.brokerId === self.brokerId && m.brokerEpoch === self.brokerEpoch)) continue;
        const added = replicas.flatMap((brokerId) => {
          const broker = this.image.brokers.get(brokerId);
          if (broker === undefined || broker.stopping || state.isr.some((m) => m.brokerId === brokerId)) return [];
          return [{ brokerId, brokerEpoch: broker.epoch }];
        });
        if (added.length === 0) continue;
        const isr = [...state.isr, ...added];
        const next: PartitionState = { ...state, isr, elr: nextElr(state, isr, minInsyncReplicas) };
        const identity = { topic: topic.name, topicId: topic.id, partition };
        const change = { ...identity, expectedVersion: stateVersion, state: next, self, added };
        void this.writer.changeIsr(change).catch(() => {});
      }
    }
  }
}

/** Real coordinators and metadata brokers in one seeded world. */
export class ControllerCluster {
  readonly sim: Simulation;
  readonly brokers = new Map<number, MetadataBroker>();
  readonly #hosts = new Map<number, SimulatedNode>();
  readonly #coordinatorHosts = new Map<number, SimulatedNode>();
  readonly #coordinators = new Map<number, Coordinator>();
  readonly #directories = new Map<number, string>();
  readonly #failures: unknown[] = [];

  private constructor(seed: number | string) {
    this.sim = createSimulation({ seed });
  }

  static async start(seed: number | string, brokerCount = 3): Promise<ControllerCluster> {
    const cluster = new ControllerCluster(seed);
    for (const id of coordinatorIds) cluster.#coordinatorHosts.set(id, cluster.sim.addNode(`c${id}`));
    await cluster.sim.complete(Promise.all(coordinatorIds.map((id) => cluster.#openCoordinator(id))));
    const ids = Array.from({ length: brokerCount }, (_, index) => index + 1);
    for (const id of ids) cluster.#hosts.set(id, cluster.sim.addNode(`b${id}`));
    await cluster.sim.complete(Promise.all(ids.map((id) => cluster.#openBroker(id))));
    await cluster.untilController();
    return cluster;
  }

  broker(id: number): MetadataBroker {
    const broker = this.brokers.get(id);
    assert(broker, `broker ${id} does not run`);
    return broker;
  }

  get running(): readonly MetadataBroker[] {
    return [...this.brokers.values()];
  }

  host(id: number): SimulatedNode {
    const host = this.#hosts.get(id);
    assert(host, `there is no broker ${id}`);
    return host;
  }

  /** Who every running broker takes for the controller, once they agree and it has taken up its work. */
  async untilController(except = 0): Promise<number> {
    let found = 0;
    await this.sim.runUntil(() => {
      const seen = new Set(this.running.filter((b) => !this.host(b.id).paused).map((b) => b.image.controllerId));
      const [id] = seen;
      found =
        seen.size === 1 && id !== undefined && id !== except && this.brokers.get(id)?.controller.term !== undefined
          ? id
          : 0;
      return found !== 0;
    });
    return found;
  }

  crashBroker(id: number): void {
    this.host(id).crash();
    this.brokers.delete(id);
  }

  async restartBroker(id: number): Promise<void> {
    this.host(id).restart();
    await this.sim.complete(this.#openBroker(id));
  }

  crashCoordinator(id: number): void {
    this.#coordinatorHosts.get(id)?.crash();
    this.#coordinators.delete(id);
  }

  get coordinatorsUp(): number {
    return this.#coordinators.size;
  }

  restartCoordinatorSoon(id: number): void {
    const host = this.#coordinatorHosts.get(id);
    if (host?.alive !== false) return;
    host.restart();
    this.#openCoordinator(id).catch((error: unknown) => this.#failures.push(error));
  }

  /** `isWiped`: on an empty disk. */
  restartBrokerSoon(id: number, isWiped: boolean): void {
    if (this.host(id).alive) return;
    this.host(id).restart();
    if (isWiped) this.#directories.set(id, `directory-${id}-from-${this.sim.nowMs}`);
    this.#openBroker(id).catch((error: unknown) => this.#failures.push(error));
  }

  /** A controlled shutdown, and the broker's return after `lastsMs`, unless something worse happens to it meanwhile. */
  leave(id: number, lastsMs: number): void {
    const broker = this.broker(id);
    const { self } = broker.membership;
    if (self === undefined) return;
    const gone = async (): Promise<void> => {
      await leaveGracefully(broker.admin, self, 2_000);
      if (this.brokers.get(id) !== broker) return;
      await broker.stop();
      if (this.brokers.get(id) !== broker) return;
      this.crashBroker(id);
      this.sim.at(lastsMs, () => this.restartBrokerSoon(id, false));
    };
    gone().catch((error: unknown) => this.#failures.push(error));
  }

  resumeBroker(id: number): void {
    if (this.host(id).paused) this.host(id).resume();
  }

  /** Something in the background failed that must not. */
  fail(error: unknown): void {
    this.#failures.push(error);
  }

  expectNoFailure(): void {
    const [first] = this.#failures;
    if (first !== undefined) throw first;
  }

  /** Power comes back everywhere: coordinators and brokers start at the same time. */
  async restartEverything(): Promise<void> {
    for (const host of [...this.#coordinatorHosts.values(), ...this.#hosts.values()]) host.restart();
    const coordinators = coordinatorIds.map((id) => this.#openCoordinator(id));
    const brokers = [...this.#hosts.keys()].map((id) => this.#openBroker(id));
    await this.sim.complete(Promise.all([...coordinators, ...brokers]));
  }

  get coordinatorLeader(): number {
    for (const [id, coordinator] of this.#coordinators) if (coordinator.status().role === 'leader') return id;
    return 0;
  }

  /** Runs until all live brokers know the same, no more comes, and `isSettled` holds. */
  async settle(isSettled: (image: MetadataImage) => boolean = () => true): Promise<MetadataImage> {
    await this.sim.runUntil(() => {
      const images = this.running.map((broker) => broker.image);
      const [first] = images;
      return first !== undefined && images.every((image) => image.zxid === first.zxid && isSettled(image));
    });
    return this.running[0]?.image as MetadataImage;
  }

  get servers(): readonly string[] {
    return coordinatorIds.map((id) => `c${id}:2181`);
  }

  async #openBroker(id: number): Promise<void> {
    const directoryId = this.#directories.get(id) ?? `directory-${id}`;
    const broker = new MetadataBroker(id, this.host(id).runtime, this.servers, directoryId);
    this.brokers.set(id, broker);
    await broker.start();
  }

  async #openCoordinator(id: number): Promise<void> {
    const host = this.#coordinatorHosts.get(id);
    assert(host, `there is no coordinator ${id}`);
    const config = parseCoordinatorConfig({
      'node.id': id,
      'data.dir': 'data',
      'listen.host': `c${id}`,
      members: coordinatorIds.map((each) => `${each}@c${each}:2888:2181`),
    });
    this.#coordinators.set(id, await createCoordinator(host.runtime, config));
  }
}

const coordinatorIds: readonly number[] = [1, 2, 3];

export function newTopic(name: string, extra: Partial<messages.NewTopic> = {}): messages.NewTopic {
  return { name, numPartitions: 3, replicationFactor: 3, assignments: [], configs: {}, topicId: '', ...extra };
}

/** Every partition is led by a live incarnation of its ISR. */
export function allLed(image: MetadataImage): boolean {
  return [...image.topics.values()].every((topic) => isLed(image, topic));
}

export function isLed(image: MetadataImage, topic: TopicImage): boolean {
  return topic.partitions.every(({ state }) => {
    const leader = state?.isr.find((member) => member.brokerId === state.leader);
    return leader !== undefined && image.brokers.get(leader.brokerId)?.epoch === leader.brokerEpoch;
  });
}

/** R9 over a whole image; `minIsr` as the cluster is configured. */
export function checkStates(image: MetadataImage): void {
  for (const topic of image.topics.values()) {
    for (const [partition, { state, replicas }] of topic.partitions.entries()) {
      if (state === undefined) continue;
      const at = `${topic.name}-${partition} at zxid ${image.zxid}`;
      const isr = new Set(state.isr.map((member) => member.brokerId));
      assert(isr.size === state.isr.length && isr.size > 0, `${at}: the ISR is empty or has a broker twice (R9)`);
      for (const id of isr) assert(replicas.includes(id), `${at}: ${id} is in the ISR and no replica (R9)`);
      for (const { brokerId } of state.elr) assert(!isr.has(brokerId), `${at}: ISR and ELR overlap (R9)`);
      if (isr.size >= Math.min(minInsyncReplicas, replicas.length))
        assert(state.elr.length === 0, `${at}: an ELR beside a sufficient ISR (R9)`);
      assert(state.leader === noLeader || isr.has(state.leader), `${at}: the leader is not in the ISR`);
    }
  }
}
