import type { Logger, Metrics } from '@naru/observability';
import type { Runtime } from '@naru/runtime';
import type { BrokerConfig } from './broker-config.ts';
import type { MetadataPublisher } from './cluster/metadata-publisher.ts';
import type { ControllerForwarder } from './controller/forwarder.ts';
import { isInternalTopic } from './controller/topic-name.ts';
import { CoordinatorLookup } from './groups/coordinator/coordinator-lookup.ts';
import type { GroupCoordinatorSettings } from './groups/coordinator/coordinator-settings.ts';
import { GroupCoordinator } from './groups/coordinator/group-coordinator.ts';
import { offsetsTopicProblem, offsetsTopicRequest } from './groups/coordinator/offsets-topic.ts';
import type { ReplicaManager } from './replication/replica-manager.ts';
import { createInternalTopics } from './requests/create-topics.ts';
import type { GroupDependencies } from './requests/groups/group-dependencies.ts';

export interface GroupSurroundings {
  readonly config: BrokerConfig;
  readonly runtime: Runtime;
  readonly replicas: ReplicaManager;
  readonly publisher: MetadataPublisher;
  readonly forwarder: ControllerForwarder;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The part of the composition root that is about consumer groups. */
export function createGroups(surroundings: GroupSurroundings): GroupDependencies {
  const { config, runtime, replicas, publisher, forwarder, logger, metrics } = surroundings;
  const { clock, timers, random } = runtime;
  const coordinator = new GroupCoordinator({
    brokerId: config['broker.id'],
    replicas,
    publisher,
    settings: coordinatorSettings(config),
    isInternalTopic,
    clock,
    timers,
    random,
    logger,
  });
  const topic = {
    partitions: config['offsets.topic.num.partitions'],
    replicationFactor: config['offsets.topic.replication.factor'],
    segmentBytes: config['offsets.topic.segment.bytes'],
  };
  const lookup = new CoordinatorLookup({
    publisher,
    createOffsetsTopic: async () => {
      const request = offsetsTopicRequest(topic, publisher.image.brokers.size);
      return offsetsTopicProblem(await createInternalTopics({ publisher, forwarder, clock, random }, request));
    },
    logger,
  });
  const groups = () =>
    coordinator.shards.flatMap((shard) => [...shard.groups.values(), ...shard.consumerGroups.values()]);
  metrics.gauge('naru_groups', 'Groups with members that this broker coordinates', () => {
    return groups().filter((group) => group.membersCount > 0).length;
  });
  metrics.gauge('naru_groups_rebalancing', 'Groups that this broker coordinates and that are not stable', () => {
    return groups().filter((group) => group.membersCount > 0 && group.name !== 'Stable').length;
  });
  metrics.gauge('naru_group_members', 'Members of those groups', () => {
    return groups().reduce((sum, group) => sum + group.membersCount, 0);
  });
  return { coordinator, lookup, brokerId: config['broker.id'] };
}

const minuteMs = 60_000;

function coordinatorSettings(config: BrokerConfig): GroupCoordinatorSettings {
  return {
    initialRebalanceDelayMs: config['group.initial.rebalance.delay.ms'],
    sessionTimeoutMsMin: config['group.min.session.timeout.ms'],
    sessionTimeoutMsMax: config['group.max.session.timeout.ms'],
    membersMax: config['group.max.size'],
    consumer: {
      sessionTimeoutMs: config['group.consumer.session.timeout.ms'],
      heartbeatIntervalMs: config['group.consumer.heartbeat.interval.ms'],
      membersMax: config['group.consumer.max.size'],
      assignors: config['group.consumer.assignors'],
      migrationPolicy: config['group.consumer.migration.policy'],
    },
    offsetMetadataBytesMax: config['offset.metadata.max.bytes'],
    offsetsRetentionMs: config['offsets.retention.minutes'] * minuteMs,
    offsetsRetentionCheckIntervalMs: config['offsets.retention.check.interval.ms'],
    offsetsCommitTimeoutMs: config['offsets.commit.timeout.ms'],
  };
}
