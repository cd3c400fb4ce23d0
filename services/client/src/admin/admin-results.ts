import type { KafkaError } from '../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';

/** A topic to be created. */
export interface NewTopic {
  readonly name: string;
  /** Left out: the broker's `num.partitions`. */
  readonly partitions?: number | undefined;
  /** Left out: the broker's `default.replication.factor`. */
  readonly replicationFactor?: number | undefined;
  /** Instead of the two above: broker ids by partition, the first is the preferred leader. */
  readonly assignments?: readonly (readonly number[])[] | undefined;
  readonly configs?: Readonly<Record<string, string | number | boolean>> | undefined;
}

/** A topic that is to have more partitions. */
export interface NewPartitions {
  readonly topic: string;
  /** The new total; must be larger than now. */
  readonly count: number;
  /** Broker ids for each added partition; left out: the controller assigns. */
  readonly assignments?: readonly (readonly number[])[] | undefined;
}

/** How one topic of a request fared: the others are done or failed on their own. */
export interface TopicOutcome {
  readonly name: string;
  /** Undefined when it was done. */
  readonly error: KafkaError | undefined;
  readonly topicId: string | undefined;
  readonly partitions: number | undefined;
  readonly replicationFactor: number | undefined;
}

/** A topic by name and id. */
export interface TopicListing {
  readonly name: string;
  readonly topicId: string;
  readonly internal: boolean;
}

/** A topic with its partitions. */
export interface TopicDescription extends TopicListing {
  readonly partitions: readonly PartitionDescription[];
}

/** Who leads and who replicates a partition, by broker ids. */
export interface PartitionDescription {
  readonly partition: number;
  /** Broker id; undefined: none at the moment. */
  readonly leader: number | undefined;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  readonly elr: readonly number[];
  readonly lastKnownElr: readonly number[];
  readonly offlineReplicas: readonly number[];
  readonly addingReplicas: readonly number[];
  readonly removingReplicas: readonly number[];
}

/** A cluster and its brokers. */
export interface ClusterDescription {
  readonly clusterId: string;
  /** Broker id; undefined: none is elected. */
  readonly controller: number | undefined;
  readonly brokers: readonly {
    readonly id: number;
    readonly host: string;
    readonly port: number;
    readonly rack: string | undefined;
  }[];
}

/** Which offset to list: the end, the beginning, that of the largest timestamp, or the first at or after a time (ms). */
export type OffsetSpec = 'latest' | 'earliest' | 'max-timestamp' | { readonly timestamp: number };

/** What was found for a partition and an `OffsetSpec`. */
export interface ListedOffset extends TopicPartition {
  /** Undefined: no record fits. */
  readonly offset: bigint | undefined;
  readonly timestamp: number;
  readonly leaderEpoch: number;
}

/** A topic or a broker, whose settings are meant. */
export interface ConfigResource {
  readonly type: 'topic' | 'broker';
  /** Topic name, or broker id as text; empty: the default of all brokers. */
  readonly name: string;
}

/** Who says what a setting is: the topic, the broker or all brokers while they run, the broker's properties file, nobody. */
export type ConfigSource =
  | 'dynamic-topic'
  | 'dynamic-broker'
  | 'dynamic-default-broker'
  | 'static-broker'
  | 'default'
  | 'unknown';

/** A value that a setting could have, and where it comes from. */
export interface ConfigSynonym {
  readonly name: string;
  /** Undefined when it is sensitive. */
  readonly value: string | undefined;
  readonly source: ConfigSource;
}

/** One setting as it is in force. */
export interface ConfigEntry {
  readonly name: string;
  /** Undefined when it is sensitive. */
  readonly value: string | undefined;
  readonly source: ConfigSource;
  readonly isDefault: boolean;
  readonly readOnly: boolean;
  readonly sensitive: boolean;
  readonly documentation: string;
  /** The value in force, then those that would be without it. */
  readonly synonyms: readonly ConfigSynonym[];
}

/** The settings of one resource, or why they cannot be told. */
export interface ConfigDescription {
  readonly resource: ConfigResource;
  readonly error: KafkaError | undefined;
  readonly entries: readonly ConfigEntry[];
}

/** Changes to the settings of one resource; what is not named stays. */
export interface ConfigAlteration {
  readonly resource: ConfigResource;
  readonly set?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Back to the default. */
  readonly remove?: readonly string[] | undefined;
}

/** How the change of one resource went; `error` undefined: it is made. */
export interface ConfigOutcome {
  readonly resource: ConfigResource;
  readonly error: KafkaError | undefined;
}
