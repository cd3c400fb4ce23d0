import { openSession } from '@naru/coordinator-client';
import { type Logger, Metrics, silentLogger } from '@naru/observability';
import { createRpc, type RpcHost } from '@naru/rpc';
import type { Address, Runtime } from '@naru/runtime';
import { type BrokerConfig, brokerConfigDefinition } from './broker-config.ts';
import { type Endpoint, formatEndpointUri } from './cluster/endpoint.ts';
import { ClusterMembership } from './cluster/membership.ts';
import { MetadataPublisher } from './cluster/metadata-publisher.ts';
import type { Member } from './cluster/partition-state.ts';
import { PartitionStateWriter } from './cluster/partition-state-writer.ts';
import { ProducerIds } from './cluster/producer-ids.ts';
import { ensureClusterId, ensureTree } from './cluster/registration.ts';
import { Controller } from './controller/controller.ts';
import { ControllerForwarder } from './controller/forwarder.ts';
import { DynamicConfig, dynamicConfigDefinition } from './dynamic-config.ts';
import { createGroups } from './group-wiring.ts';
import type { GroupCoordinator } from './groups/coordinator/group-coordinator.ts';
import type { ConnectionLimits } from './listeners/connection-quota.ts';
import { clientServices, unaryServices } from './listeners/grpc-front.ts';
import { KafkaFront } from './listeners/kafka-front.ts';
import { ListenerSet } from './listeners/listener-set.ts';
import { RequestBudget } from './listeners/request-budget.ts';
import { readIdentity } from './log/directory-identity.ts';
import { logConfigDefinition } from './log/log-config.ts';
import { logConfigOf } from './log-config-of.ts';
import { openLogs, removeDeleted, storeOf } from './log-wiring.ts';
import { listenForMetrics, registerCleanerMetrics, registerMetrics } from './metrics-wiring.ts';
import { ReplicaFetchServer } from './replication/replica-fetch-server.ts';
import { ReplicaManager } from './replication/replica-manager.ts';
import { leaveGracefully } from './requests/controlled-shutdown.ts';
import { FetchHandler } from './requests/fetch.ts';
import { kafkaRegistry } from './requests/kafka/registry.ts';
import { ListOffsetsHandler } from './requests/list-offsets.ts';
import { ProduceHandler } from './requests/produce.ts';
import { controllerTable, type RequestDependencies, requestTable } from './requests/request-table.ts';

/** A running broker. */
export interface Broker {
  readonly id: number;
  /** What each listener has bound, with the port that was really taken. */
  readonly addresses: ReadonlyMap<string, Address>;
  /** What others are told. */
  readonly endpoints: readonly Endpoint[];
  /** This incarnation; undefined while a lost session is being replaced. */
  readonly self: Member | undefined;
  /** For tests and tools: what this broker knows and holds. */
  readonly publisher: MetadataPublisher;
  readonly replicas: ReplicaManager;
  readonly controller: Controller;
  readonly groups: GroupCoordinator;
  /** Called once when it cannot go on (a failed disk, its id taken by another): the process must end. */
  onFailure(callback: (error: Error) => void): void;
  /** `controlled`: moves leaderships to other brokers first, within `controlled.shutdown.timeout.ms`. */
  close(options?: { readonly controlled?: boolean }): Promise<void>;
}

/**
 * One broker, wired in the order of a record's way: disk, cluster, replication, requests, ports. The same for the real world and the simulation.
 * Fails with a one-line error when the directory is somebody else's or in use, a port is taken, or the broker id is in use.
 */
export async function createBroker(
  runtime: Runtime,
  config: BrokerConfig,
  { logger = silentLogger, metrics = new Metrics() }: { readonly logger?: Logger; readonly metrics?: Metrics } = {},
): Promise<Broker> {
  const undo: (() => Promise<unknown>)[] = [];
  const failure = new Failure();
  try {
    return await start(runtime, config, { logger, metrics, undo, failure });
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => {});
    throw error;
  }
}

interface Surroundings {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Taken back in reverse order when the start fails. */
  readonly undo: (() => Promise<unknown>)[];
  readonly failure: Failure;
}

async function start(runtime: Runtime, config: BrokerConfig, surroundings: Surroundings): Promise<Broker> {
  const { logger, metrics, undo, failure } = surroundings;
  const { clock, timers, random, network } = runtime;
  const brokerId = config['broker.id'];

  /** What the disk tells goes to parts that are made after it. */
  const late: { replicas?: ReplicaManager; membership?: ClusterMembership } = {};
  /** Whoever cannot trust its disk leads nothing and leaves at once, so that others can lead (row 56). */
  const failStorage = (error: Error): void => {
    logger.error({ error }, 'the disk failed; this broker stops');
    late.replicas?.setSelf(undefined);
    late.membership?.stop().catch(() => {});
    failure.report(error);
  };

  const dynamic = new DynamicConfig(config, logger);

  // Disk.
  const clusterId = await clusterIdOf(runtime, config, logger);
  const logs = await openLogs(runtime, config, clusterId, {
    logger,
    highWatermarkOf: (topicId, partition) => late.replicas?.highWatermarkOf(topicId, partition),
    onDamage: (topicId, partition) => late.replicas?.logDamaged(topicId, partition),
    onFailure: failStorage,
  });
  undo.push(() => logs.abandon());

  // Ports: taken now, because the registration names them; served when everything behind them stands.
  const { bound, interBroker } = config.listening;
  const listeners = new ListenerSet({
    network,
    timers,
    logger,
    limits: connectionLimits(config, dynamic),
    listeners: bound,
    interBroker,
  });
  undo.push(() => listeners.close());
  const addresses = await listeners.listen();
  const endpoints = advertisedEndpoints(config, addresses, network.hostName);

  // Cluster.
  const publisher = new MetadataPublisher({ timers, logger });
  const membership = new ClusterMembership({
    openSession: (signal) => openSession(runtime, { ...sessionOptions(config), signal }, logger),
    sessionTimeoutMs: config['session.timeout.ms'],
    identity: {
      brokerId,
      endpoints,
      rack: config['broker.rack'],
      directoryId: logs.directoryId,
      damaged: logs.damaged,
    },
    clusterId,
    publisher,
    timers,
    random,
    logger,
  });
  late.membership = membership;
  undo.push(() => membership.stop());

  // Replication.
  const rpc = createRpc(runtime, {
    onError: (error, path) => logger.error({ error, path }, 'a request failed unexpectedly'),
  });
  const replicas: ReplicaManager = new ReplicaManager({
    brokerId,
    clock,
    timers,
    random,
    rpc,
    interBrokerListener: interBroker,
    store: storeOf(logs),
    isrWriter: new PartitionStateWriter(
      () => membership.session,
      (name) => publisher.image?.topics.get(name),
    ),
    logger,
    lagTimeMaxMs: config['replica.lag.time.max.ms'],
    fetcher: {
      partitionBytesMax: config['replica.fetch.max.bytes'],
      responseBytesMax: config['replica.fetch.response.max.bytes'],
      waitMaxMs: config['replica.fetch.wait.max.ms'],
      backoffMaxMs: config['replica.fetch.backoff.ms'],
    },
    logConfigOf: (overrides) => logConfigOf(dynamic.topicDefaults, overrides, logger),
    onDamagedChanged: () => {
      const { damaged } = logs;
      membership.reportDamaged(damaged).catch((error: unknown) => {
        logger.warn({ error, damaged: [...damaged.keys()] }, 'could not report the damaged replicas');
      });
    },
    onStorageFailed: failStorage,
  });
  late.replicas = replicas;
  undo.push(() => replicas.close());
  publisher.subscribe((image, delta) => {
    if (delta.brokerConfigsChanged.length > 0) {
      dynamic.apply(image.brokerConfigs);
      replicas.reconfigure();
    }
    replicas.apply(image, delta);
  });
  membership.subscribe({
    onJoined: (self) => replicas.setSelf(self),
    onLost: () => replicas.setSelf(undefined),
    onFatal: (error) => failure.report(error),
  });

  // Controller and requests.
  const controller = new Controller({
    publisher,
    membership,
    topicConfig: logConfigDefinition,
    dynamicConfig: dynamicConfigDefinition,
    settings: controllerSettings(config),
    timers,
    clock,
    random,
    logger,
    metrics,
  });
  const forwarder = new ControllerForwarder({
    rpc,
    interBrokerListener: interBroker,
    publisher,
    controller,
    timers,
    clock,
    logger,
  });
  const budget = new RequestBudget(config['queued.max.request.bytes']);
  const groups = createGroups({ config, runtime, replicas, publisher, forwarder, logger, metrics });
  undo.push(async () => groups.coordinator.close());
  const requests: RequestDependencies = {
    groups,
    produce: new ProduceHandler(replicas),
    fetch: new FetchHandler({ replicas, responseBytesMax: config['fetch.max.bytes'] }),
    listOffsets: new ListOffsetsHandler(replicas),
    logs: { replicas, publisher, logDirectory: config['log.dirs'] },
    producerIds: new ProducerIds(brokerId, () => membership.session),
    admin: { publisher, forwarder, clock, random },
    describe: {
      publisher,
      brokerId,
      topicSettings: logConfigDefinition.settings,
      topicDefaults: () => dynamic.topicDefaults,
      dynamic,
      dynamicSettings: dynamicConfigDefinition.settings,
      brokerSettings: brokerConfigDefinition.settings,
      brokerValues: config,
    },
  };
  const table = requestTable(requests);

  // Service: a place in the cluster, then for everybody.
  const fetchServer = new ReplicaFetchServer({
    source: replicas,
    deadlines: replicas.deadlines,
    turnEnd: replicas.turnEnd,
    clock,
    logger,
  });
  await membership.start();
  controller.start();
  removeDeleted(logs, publisher, brokerId, logger);
  const kafka = new KafkaFront({
    registry: kafkaRegistry({
      ...requests,
      replicas,
      autoCreateTopics: config['auto.create.topics.enable'],
      logger,
    }),
    budget,
    limits: {
      idleMsMax: config['connections.max.idle.ms'],
      frameBytesMax: config['socket.request.max.bytes'],
      receivedBytesMax: config['queued.max.request.bytes'],
      unsentBytesMax: config['queued.max.request.bytes'],
    },
    clock,
    timers,
    logger,
  });
  const grpcOf = (listener: string, isInterBroker: boolean): RpcHost => {
    const forBrokers = [fetchServer.binding(), ...unaryServices(controllerTable(controller), budget, listener)];
    const services = [...clientServices(table, budget, listener), ...(isInterBroker ? forBrokers : [])];
    // The set of listeners counts connections.
    return rpc.host(services, {
      messageBytesMax: config['socket.request.max.bytes'],
      idleMsMax: config['connections.max.idle.ms'],
      connectionsMax: Number.POSITIVE_INFINITY,
    });
  };
  listeners.serve(grpcOf, kafka);
  registerMetrics(metrics, replicas, budget, listeners);
  registerCleanerMetrics(metrics, logs.cleanerCounts);
  const metricsListener = await listenForMetrics(runtime, config, metrics, () => membership.self !== undefined);
  logger.info({ brokerId, endpoints: endpoints.map(formatEndpointUri), clusterId }, 'broker serves');

  let closing: Promise<void> | undefined;
  const close = async (controlled: boolean): Promise<void> => {
    const { self } = membership;
    if (controlled && self !== undefined && config['controlled.shutdown.enable']) {
      const timeoutMs = config['controlled.shutdown.timeout.ms'];
      const result = await leaveGracefully({ forwarder, clock }, self, timeoutMs);
      logger.info({ ...result }, 'controlled shutdown');
    }
    replicas.setSelf(undefined);
    groups.coordinator.close();
    await controller.stop();
    await forwarder.close();
    await metricsListener?.close();
    await listeners.closeForClients();
    await membership.stop();
    publisher.close();
    await listeners.close();
    await replicas.close();
    await logs.close(self?.brokerEpoch ?? -1);
    logger.info({ brokerId }, 'broker ends');
  };
  return {
    id: brokerId,
    addresses,
    endpoints,
    get self() {
      return membership.self;
    },
    publisher,
    replicas,
    controller,
    groups: groups.coordinator,
    onFailure: (callback) => failure.listen(callback),
    close: ({ controlled = false } = {}) => {
      closing ??= close(controlled);
      return closing;
    },
  };
}

/** Told once, whoever listens first or later. */
class Failure {
  #error: Error | undefined;
  readonly #callbacks: ((error: Error) => void)[] = [];

  report(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    for (const callback of this.#callbacks) callback(error);
  }

  listen(callback: (error: Error) => void): void {
    if (this.#error !== undefined) callback(this.#error);
    else this.#callbacks.push(callback);
  }
}

/** What others are told: a port that was taken from the free ones, and the machine's name where no host is given (as Kafka does). */
function advertisedEndpoints(
  { listening }: BrokerConfig,
  addresses: ReadonlyMap<string, Address>,
  hostName: string,
): readonly Endpoint[] {
  return listening.advertised.map((endpoint) => {
    const { host, port } = endpoint.address;
    const address = { host: host || hostName, port: port || (addresses.get(endpoint.listener)?.port ?? 0) };
    return { ...endpoint, address };
  });
}

function connectionLimits(config: BrokerConfig, dynamic: DynamicConfig): ConnectionLimits {
  return {
    get connectionsMax() {
      return dynamic.get('max.connections');
    },
    get perAddressMax() {
      return dynamic.get('max.connections.per.ip');
    },
    perAddressOverrides: config.connectionsPerAddress,
  };
}

function sessionOptions(config: BrokerConfig): { readonly servers: readonly string[]; readonly timeoutMs: number } {
  return { servers: config['coordinator.connect'], timeoutMs: config['session.timeout.ms'] };
}

/** As the data directory remembers it; a new directory learns it from the coordinators. */
async function clusterIdOf(runtime: Runtime, config: BrokerConfig, logger: Logger): Promise<string> {
  const known = await readIdentity(runtime.disk, config['log.dirs']);
  if (known !== undefined) return known.clusterId;
  const session = await openSession(runtime, sessionOptions(config), logger);
  try {
    await ensureTree(session);
    return await ensureClusterId(session, runtime.random);
  } finally {
    await session.close();
  }
}

function controllerSettings(config: BrokerConfig): ConstructorParameters<typeof Controller>[0]['settings'] {
  return {
    numPartitions: config['num.partitions'],
    defaultReplicationFactor: config['default.replication.factor'],
    minInsyncReplicas: config['min.insync.replicas'],
    uncleanLeaderElection: config['unclean.leader.election.enable'],
    deleteTopicEnable: config['delete.topic.enable'],
    autoLeaderRebalance: config['auto.leader.rebalance.enable'],
    leaderImbalancePercentage: config['leader.imbalance.per.broker.percentage'],
    leaderImbalanceCheckIntervalMs: config['leader.imbalance.check.interval.seconds'] * 1_000,
  };
}
