import { errorCodes } from '@naru/kafka-protocol';
import { type broker, brokerMethods, type UnaryMethod } from '@naru/rpc';
import { groupBy } from '@naru/runtime';
import { abortable } from '../abortable.ts';
import type { Cluster, Target } from '../cluster/cluster.ts';
import type { MetadataImage } from '../cluster/metadata.ts';
import type { CommonConfig } from '../config.ts';
import { earliestTimestamp, latestTimestamp, lookupOffsets, maxTimestamp } from '../consumer/offset-lookup.ts';
import { IllegalStateError, type KafkaError, NotControllerError, UnknownTopicOrPartitionError } from '../errors.ts';
import { errorFromCode } from '../errors-from-wire.ts';
import type { TopicPartition } from '../topic-partition.ts';
import type {
  ClusterDescription,
  ConfigAlteration,
  ConfigDescription,
  ConfigEntry,
  ConfigOutcome,
  ConfigResource,
  ListedOffset,
  NewPartitions,
  NewTopic,
  OffsetSpec,
  PartitionDescription,
  TopicDescription,
  TopicListing,
  TopicOutcome,
} from './admin-results.ts';
import { GroupAdmin } from './group-admin.ts';
import type {
  GroupDescription,
  GroupListing,
  GroupOffset,
  GroupOffsetChange,
  GroupOffsetOutcome,
  GroupOutcome,
  MemberOutcome,
  MemberToRemove,
} from './group-results.ts';
import { LogAdmin } from './log-admin.ts';
import type { DeletedRecords, LogDirDescription, RecordsToDelete } from './log-results.ts';
import { PlacementAdmin } from './placement-admin.ts';
import type {
  ElectionType,
  OngoingReassignment,
  PartitionOutcome,
  PartitionReassignmentTarget,
} from './placement-results.ts';

/** What every call of an admin takes besides its subject. */
export interface AdminCallOptions {
  /** Milliseconds for the whole call, retries included; default `default.api.timeout.ms`. */
  readonly timeoutMs?: number | undefined;
  /** Check everything, change nothing. */
  readonly validateOnly?: boolean | undefined;
  /** Ends the waiting; the broker may do what was asked all the same. */
  readonly signal?: AbortSignal | undefined;
}

const configSources: Readonly<Record<number, ConfigEntry['source']>> = {
  1: 'dynamic-topic',
  2: 'dynamic-broker',
  3: 'dynamic-default-broker',
  4: 'static-broker',
  5: 'default',
};

/**
 * Administration. A call over several topics or resources answers for each of them: look at `error` of each outcome; `orThrow` makes the
 * first one an exception. What concerns the whole call (nobody reachable, time is up) is thrown.
 */
export class AdminCalls {
  readonly #cluster: Cluster;
  readonly #config: CommonConfig;
  readonly #groups: GroupAdmin;
  readonly #placement: PlacementAdmin;
  readonly #logs: LogAdmin;

  /** @internal `Client.admin` makes it. */
  constructor(cluster: Cluster, config: CommonConfig) {
    this.#cluster = cluster;
    this.#groups = new GroupAdmin(cluster);
    this.#placement = new PlacementAdmin(cluster);
    this.#logs = new LogAdmin(cluster);
    this.#config = config;
  }

  /** Creates topics. Per topic: `TopicExistsError`, `InvalidTopicError`, `InvalidPartitionsError`, `InvalidReplicationFactorError`, `InvalidConfigError`. */
  async createTopics(topics: readonly NewTopic[], options: AdminCallOptions = {}): Promise<TopicOutcome[]> {
    if (!Array.isArray(topics) || topics.some((topic) => typeof topic?.name !== 'string')) {
      throw new IllegalStateError('createTopics takes a list of { name, partitions, replicationFactor, configs }');
    }
    const request = {
      topics: topics.map(toWireTopic),
      timeoutMs: this.#timeoutMs(options),
      validateOnly: options.validateOnly ?? false,
    };
    const check = (answer: broker.CreateTopicsResponse): KafkaError | undefined => notController(answer.topics);
    const answer = await this.#call(toController, brokerMethods.createTopics, request, options, check);
    return answer.topics.map(toOutcome);
  }

  /** Deletes topics and their records. Per topic: `UnknownTopicOrPartitionError`, `TopicAuthorizationError`. */
  async deleteTopics(names: readonly string[], options: AdminCallOptions = {}): Promise<TopicOutcome[]> {
    const request = { names: [...names], timeoutMs: this.#timeoutMs(options) };
    const check = (answer: broker.DeleteTopicsResponse): KafkaError | undefined => notController(answer.topics);
    const answer = await this.#call(toController, brokerMethods.deleteTopics, request, options, check);
    return answer.topics.map(toOutcome);
  }

  /** Adds partitions. A key is found in another partition from then on. Per topic: `InvalidPartitionsError` when there are as many already, `UnknownTopicOrPartitionError`. */
  async createPartitions(topics: readonly NewPartitions[], options: AdminCallOptions = {}): Promise<TopicOutcome[]> {
    const request = {
      topics: topics.map(({ topic, count, assignments }) => ({
        name: topic,
        count,
        assignments: (assignments ?? []).map((brokerIds) => ({ brokerIds: [...brokerIds] })),
      })),
      timeoutMs: this.#timeoutMs(options),
      validateOnly: options.validateOnly ?? false,
    };
    const check = (answer: broker.CreatePartitionsResponse): KafkaError | undefined => notController(answer.topics);
    const answer = await this.#call(toController, brokerMethods.createPartitions, request, options, check);
    return answer.topics.map(toOutcome);
  }

  /** Sorted by name. Internal topics are left out unless asked for. */
  async listTopics(options: AdminCallOptions & { readonly includeInternal?: boolean } = {}): Promise<TopicListing[]> {
    const answer = await this.#metadata({ topics: [], allTopics: true }, options);
    return answer.topics
      .filter((topic) => topic.errorCode === 0 && (options.includeInternal === true || !topic.internal))
      .map(({ name, topicId, internal }) => ({ name, topicId, internal }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** In the order of the names; an error where a topic cannot be described. Without names: all topics, internal ones included. */
  async describeTopics(
    names?: readonly string[],
    options: AdminCallOptions = {},
  ): Promise<(TopicDescription | { readonly name: string; readonly error: KafkaError })[]> {
    const request = { topics: [...(names ?? [])], allTopics: names === undefined };
    const { topics } = await this.#metadata(request, options);
    const byName = new Map(topics.map((topic) => [topic.name, topic]));
    return (names ?? [...byName.keys()].sort()).map((name) => {
      const topic = byName.get(name);
      const code = topic?.errorCode ?? errorCodes.UNKNOWN_TOPIC_OR_PARTITION;
      if (code === errorCodes.UNKNOWN_TOPIC_OR_PARTITION || topic === undefined) {
        return { name, error: new UnknownTopicOrPartitionError(`topic ${name} does not exist`, { topic: name }) };
      }
      if (code !== errorCodes.NONE) return { name, error: errorFromCode(code, '', { topic: name }) };
      return describeTopic(topic);
    });
  }

  /** The brokers that are alive, the controller, and what the cluster is called. */
  async describeCluster(options: AdminCallOptions = {}): Promise<ClusterDescription> {
    const answer = await this.#metadata({ topics: [], allTopics: false }, options);
    return {
      clusterId: answer.clusterId,
      controller: answer.controllerId < 0 ? undefined : answer.controllerId,
      brokers: answer.brokers
        .map(({ id, host, port, rack }) => ({ id, host, port, rack: rack === '' ? undefined : rack }))
        .sort((a, b) => a.id - b.id),
    };
  }

  /** In the order of the queries. */
  async listOffsets(
    queries: readonly (TopicPartition & { readonly spec: OffsetSpec })[],
    options: AdminCallOptions & { readonly isolationLevel?: 'read_uncommitted' | 'read_committed' } = {},
  ): Promise<ListedOffset[]> {
    const asked = queries.map(({ topic, partition, spec }) => ({ topic, partition, timestamp: toTimestamp(spec) }));
    const found = await lookupOffsets(this.#cluster, asked, {
      isolationLevel: options.isolationLevel === 'read_committed' ? 1 : 0,
      deadlineMs: this.#deadlineMs(options),
      signal: options.signal,
    });
    return found.map((result) => ({ ...result, offset: result.offset < 0 ? undefined : BigInt(result.offset) }));
  }

  /** The settings of topics and brokers with where each comes from. Per resource: `UnknownTopicOrPartitionError`, `InvalidConfigError`. */
  async describeConfigs(
    resources: readonly ConfigResource[],
    options: AdminCallOptions = {},
  ): Promise<ConfigDescription[]> {
    const results = await this.#byBroker(
      resources,
      (r) => r,
      async (target, asked) => {
        const request = { resources: asked.map((r) => ({ ...r })) };
        return (await this.#call(target, brokerMethods.describeConfigs, request, options)).results;
      },
    );
    return results.map((result) => ({
      resource: toResource(result),
      error: toError(result.errorCode, result.errorMessage),
      entries: result.entries.map(toEntry),
    }));
  }

  /** Sets and removes single keys; what is not named stays as it is (KIP-339). */
  async incrementalAlterConfigs(
    alterations: readonly ConfigAlteration[],
    options: AdminCallOptions = {},
  ): Promise<ConfigOutcome[]> {
    const request = {
      resources: alterations.map(({ resource, set, remove }) => ({
        resource: { ...resource },
        set: asText(set ?? {}),
        remove: [...(remove ?? [])],
      })),
      validateOnly: options.validateOnly ?? false,
    };
    const check = (answer: broker.AlterConfigsResponse): KafkaError | undefined => notController(answer.results);
    const answer = await this.#call(toController, brokerMethods.alterConfigs, request, options, check);
    return answer.results.map((result) => ({
      resource: toResource(result),
      error: toError(result.errorCode, result.errorMessage),
    }));
  }

  /** Every broker's groups, sorted by id; `states` filters by state. */
  async listGroups(
    options: AdminCallOptions & {
      readonly states?: readonly string[] | undefined;
      readonly types?: readonly string[] | undefined;
    } = {},
  ): Promise<GroupListing[]> {
    const { brokers } = await this.describeCluster(options);
    const ids = brokers.map(({ id }) => id);
    const { states = [], types = [] } = options;
    const listed = this.#groups.list(ids, { states, types }, this.#deadlineMs(options));
    return abortable(listed, options.signal);
  }

  /** In the order of the ids; a group that does not exist has an error. */
  describeGroups(groupIds: readonly string[], options: AdminCallOptions = {}): Promise<GroupDescription[]> {
    return abortable(this.#groups.describe(groupIds, this.#deadlineMs(options)), options.signal);
  }

  /** Committed offsets: of the given partitions in their order, or of all that have one. */
  listGroupOffsets(
    groupId: string,
    options: AdminCallOptions & { readonly partitions?: readonly TopicPartition[] | undefined } = {},
  ): Promise<GroupOffset[]> {
    const listed = this.#groups.listOffsets(groupId, options.partitions, this.#deadlineMs(options));
    return abortable(listed, options.signal);
  }

  /** Only while the group has no members: they would go on from what they know. Creates a group that does not exist. */
  alterGroupOffsets(
    groupId: string,
    offsets: readonly GroupOffsetChange[],
    options: AdminCallOptions = {},
  ): Promise<GroupOffsetOutcome[]> {
    return abortable(this.#groups.alterOffsets(groupId, offsets, this.#deadlineMs(options)), options.signal);
  }

  /** Offsets of topics that no member of the group consumes. */
  deleteGroupOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
    options: AdminCallOptions = {},
  ): Promise<GroupOffsetOutcome[]> {
    return abortable(this.#groups.deleteOffsets(groupId, partitions, this.#deadlineMs(options)), options.signal);
  }

  /** Groups without members, with their offsets. */
  deleteGroups(groupIds: readonly string[], options: AdminCallOptions = {}): Promise<GroupOutcome[]> {
    return abortable(this.#groups.delete(groupIds, this.#deadlineMs(options)), options.signal);
  }

  /** Puts members out of the group: static ones, that need not be waited for any longer, or all of them when none are named. */
  async removeMembersFromConsumerGroup(
    groupId: string,
    members?: readonly MemberToRemove[],
    options: AdminCallOptions = {},
  ): Promise<MemberOutcome[]> {
    const named = members ?? (await this.describeGroups([groupId], options))[0]?.members ?? [];
    return abortable(this.#groups.removeMembers(groupId, named, this.#deadlineMs(options)), options.signal);
  }

  /**
   * Gives leaderships to first replicas (`preferred`), or, where nobody leads, to any live replica (`unclean`, which may lose acknowledged records). Without partitions: all;
   * those that need no election are then left out.
   */
  electLeaders(
    type: ElectionType,
    partitions?: readonly TopicPartition[],
    options: AdminCallOptions = {},
  ): Promise<PartitionOutcome[]> {
    return abortable(this.#placement.elect(type, partitions, this.#timeoutMs(options)), options.signal);
  }

  /** Begins to move partitions to other brokers, or cancels it. Done when begun: `listPartitionReassignments` tells what is under way still. */
  alterPartitionReassignments(
    targets: readonly PartitionReassignmentTarget[],
    options: AdminCallOptions & {
      /** Default true; false refuses targets with another number of replicas. */
      readonly allowReplicationFactorChange?: boolean | undefined;
    } = {},
  ): Promise<PartitionOutcome[]> {
    const keepReplicationFactor = options.allowReplicationFactorChange === false;
    const request = { timeoutMs: this.#timeoutMs(options), keepReplicationFactor };
    return abortable(this.#placement.reassign(targets, request), options.signal);
  }

  /** Moves that are under way; of all partitions when none are named. */
  listPartitionReassignments(
    partitions?: readonly TopicPartition[],
    options: AdminCallOptions = {},
  ): Promise<OngoingReassignment[]> {
    return abortable(this.#placement.list(partitions, this.#timeoutMs(options)), options.signal);
  }

  /**
   * Deletes what lies below an offset, up to the high watermark (KIP-107). Done when no live replica has it any more; in the order of the targets.
   */
  deleteRecords(targets: readonly RecordsToDelete[], options: AdminCallOptions = {}): Promise<DeletedRecords[]> {
    return abortable(this.#logs.deleteRecords(targets, this.#timeoutMs(options)), options.signal);
  }

  /** What the log directories of brokers hold, by broker id; of all live ones when none are named. */
  async describeLogDirs(
    brokerIds?: readonly number[],
    options: AdminCallOptions = {},
  ): Promise<ReadonlyMap<number, readonly LogDirDescription[]>> {
    const ids = brokerIds ?? (await this.describeCluster(options)).brokers.map(({ id }) => id);
    const deadlineMs = this.#deadlineMs(options);
    const described = ids.map(async (id) => [id, await this.#logs.describeDirs(id, deadlineMs)] as const);
    return new Map(await abortable(Promise.all(described), options.signal));
  }

  /** Closes the connections; calls under way fail. */
  async close(): Promise<void> {
    await this.#cluster.close();
  }

  /** As `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #timeoutMs(options: AdminCallOptions): number {
    return options.timeoutMs ?? this.#config['default.api.timeout.ms'];
  }

  #deadlineMs(options: AdminCallOptions): number {
    return this.#cluster.nowMs() + this.#timeoutMs(options);
  }

  #call<Request, Response>(
    target: Target,
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: AdminCallOptions,
    check?: (answer: Response) => KafkaError | undefined,
  ): Promise<Response> {
    const callOptions = { deadlineMs: this.#deadlineMs(options), ...(check === undefined ? {} : { check }) };
    return abortable(this.#cluster.call(target, method, request, callOptions), options.signal);
  }

  /** Metadata from whoever answers, tried again until the deadline. */
  #metadata(request: broker.MetadataRequest, options: AdminCallOptions): Promise<broker.MetadataResponse> {
    return abortable(this.#cluster.metadataBy(request, this.#deadlineMs(options)), options.signal);
  }

  /** A broker's settings are asked of that broker, a topic's of anyone. Results in the order of the resources. */
  async #byBroker<Item, Result extends { resource?: broker.ConfigResource | undefined }>(
    items: readonly Item[],
    resourceOf: (item: Item) => ConfigResource,
    ask: (target: Target, items: readonly Item[]) => Promise<readonly Result[]>,
  ): Promise<Result[]> {
    const groups = groupBy(items, (item) => {
      const { type, name } = resourceOf(item);
      return type === 'broker' && name !== '' ? Number(name) : -1;
    });
    const asked = [...groups].map(([id, group]) => ask(id < 0 ? toAnyone : toBroker(id), group));
    const results = (await Promise.all(asked)).flat();
    const byName = new Map(results.map((result) => [`${result.resource?.type}/${result.resource?.name}`, result]));
    return items.flatMap((item) => byName.get(`${resourceOf(item).type}/${resourceOf(item).name}`) ?? []);
  }
}

/** Returns the outcomes, or throws the first error among them. */
export function orThrow<Outcome extends { readonly error?: KafkaError | undefined }>(
  outcomes: readonly Outcome[],
): readonly Outcome[] {
  for (const { error } of outcomes) if (error !== undefined) throw error;
  return outcomes;
}

const toController: Target = (image) => image.brokers.get(image.controllerId);
const toAnyone: Target = (image) => image.brokers.values().next().value;

function toBroker(id: number): Target {
  return (image: MetadataImage) => image.brokers.get(id);
}

function notController(results: readonly { readonly errorCode: number }[]): KafkaError | undefined {
  const hit = results.find((result) => result.errorCode === 41);
  return hit === undefined ? undefined : new NotControllerError('the controller has moved');
}

function toWireTopic({ name, partitions, replicationFactor, assignments, configs }: NewTopic): broker.NewTopic {
  return {
    name,
    topicId: '',
    numPartitions: partitions ?? -1,
    replicationFactor: replicationFactor ?? -1,
    assignments: (assignments ?? []).map((brokerIds) => ({ brokerIds: [...brokerIds] })),
    configs: asText(configs ?? {}),
  };
}

function asText(configs: Readonly<Record<string, string | number | boolean>>): Record<string, string> {
  return Object.fromEntries(Object.entries(configs).map(([name, value]) => [name, String(value)]));
}

function toOutcome(result: broker.TopicResult): TopicOutcome {
  const error = toError(result.errorCode, result.errorMessage, result.name);
  const isDone = error === undefined;
  return {
    name: result.name,
    error,
    topicId: isDone && result.topicId !== '' ? result.topicId : undefined,
    partitions: isDone && result.numPartitions > 0 ? result.numPartitions : undefined,
    replicationFactor: isDone && result.replicationFactor > 0 ? result.replicationFactor : undefined,
  };
}

function toError(code: number, message: string, topic?: string): KafkaError | undefined {
  return code === 0 ? undefined : errorFromCode(code, message, { topic });
}

function describeTopic(topic: broker.TopicMetadata): TopicDescription {
  const partitions = topic.partitions.map(
    (p): PartitionDescription => ({
      partition: p.partition,
      leader: p.leaderId < 0 ? undefined : p.leaderId,
      leaderEpoch: p.leaderEpoch,
      replicas: p.replicas,
      isr: p.isr,
      elr: p.elr,
      lastKnownElr: p.lastKnownElr,
      offlineReplicas: p.offlineReplicas,
      addingReplicas: p.addingReplicas,
      removingReplicas: p.removingReplicas,
    }),
  );
  partitions.sort((a, b) => a.partition - b.partition);
  return { name: topic.name, topicId: topic.topicId, internal: topic.internal, partitions };
}

function toTimestamp(spec: OffsetSpec): number {
  if (typeof spec === 'object') return spec.timestamp;
  const known = { latest: latestTimestamp, earliest: earliestTimestamp, 'max-timestamp': maxTimestamp };
  if (Object.hasOwn(known, spec)) return known[spec];
  throw new IllegalStateError(`${spec} is no offset: 'latest', 'earliest', 'max-timestamp' or { timestamp } are`);
}

function toResource({ resource }: broker.ConfigDescription): ConfigResource {
  return { type: resource?.type === 'broker' ? 'broker' : 'topic', name: resource?.name ?? '' };
}

function toEntry(entry: broker.ConfigEntry): ConfigEntry {
  const shown = (value: string): string | undefined => (entry.sensitive ? undefined : value);
  const source = configSources[entry.source] ?? 'unknown';
  return {
    name: entry.name,
    value: shown(entry.value),
    source,
    isDefault: source === 'default',
    readOnly: entry.readOnly,
    sensitive: entry.sensitive,
    documentation: entry.documentation,
    synonyms: entry.synonyms.map(({ name, value, source: from }) => {
      return { name, value: shown(value), source: configSources[from] ?? 'unknown' };
    }),
  };
}
