import type { TopicImage } from '../cluster/metadata-image.ts';
import type { PartitionSettings } from './partition-decision.ts';

/** What the controller decides by, from the broker's configuration. */
export interface ControllerSettings {
  readonly numPartitions: number;
  readonly defaultReplicationFactor: number;
  readonly minInsyncReplicas: number;
  readonly uncleanLeaderElection: boolean;
  readonly deleteTopicEnable: boolean;
  readonly autoLeaderRebalance: boolean;
  /** `leader.imbalance.per.broker.percentage`: so many leaderships may be away from a broker before they are moved back. */
  readonly leaderImbalancePercentage: number;
  /** Milliseconds between two looks at preferred leaders. */
  readonly leaderImbalanceCheckIntervalMs: number;
}

/** What holds for a topic's partitions: its overrides before this broker's defaults. */
export function partitionSettings(topic: TopicImage, defaults: ControllerSettings): PartitionSettings {
  const minInsyncReplicas = Number(topic.config.get('min.insync.replicas') ?? defaults.minInsyncReplicas);
  const unclean = topic.config.get('unclean.leader.election.enable');
  return {
    minInsyncReplicas:
      Number.isSafeInteger(minInsyncReplicas) && minInsyncReplicas > 0 ? minInsyncReplicas : defaults.minInsyncReplicas,
    uncleanLeaderElection: unclean === undefined ? defaults.uncleanLeaderElection : unclean === 'true',
  };
}
