import type { Zxid } from '@naru/coordinator-client';
import type { Member, PartitionState } from './partition-state.ts';
import { SharedMap } from './shared-map.ts';
import type { BrokerRegistration } from './znode-codecs.ts';

/**
 * What a broker knows of the cluster at one zxid: never changed, only replaced. Images share what did not change, so that two of them are compared by
 * identity first (`diffImages`). The images of two brokers at the same zxid are equal, for they are built from the same znodes.
 */
export interface MetadataImage {
  /** Of the last change that is contained; 0 before the first snapshot. */
  readonly zxid: Zxid;
  /** Undefined before the cluster's first broker has written it. */
  readonly clusterId: string | undefined;
  /** Registered, which is to say alive as far as the coordinator knows. */
  readonly brokers: ReadonlyMap<number, BrokerImage>;
  /** Which data directory each broker id used last, dead brokers included. */
  readonly directories: ReadonlyMap<number, DirectoryImage>;
  readonly topics: SharedMap<TopicImage>;
  /** Topic id to name; `topicById` looks it up. */
  readonly topicNames: ReadonlyMap<string, string>;
  /** Topic ids whose deletion is committed: the only ground for deleting a log (row 58). Bounded; the oldest are forgotten first. */
  readonly deletedTopicIds: ReadonlyMap<string, DeletedTopicImage>;
  /** -1 when nobody holds the office. */
  readonly controllerId: number;
  /** 0 before the first election. */
  readonly controllerEpoch: number;
  /** Version of the znode `/controller_epoch`, which guards every write of a controller; -1 when it does not exist. */
  readonly controllerEpochVersion: number;
  /** By broker id as text, and `<default>`. */
  readonly brokerConfigs: ReadonlyMap<string, ConfigOverrides>;
  /** Config, deletion marks and states of names whose topic znode is missing or was never readable. For `MetadataBuilder` alone. */
  readonly unplaced: ReadonlyMap<string, UnplacedTopic>;
}

/** Values by name, as Kafka spells them. */
export type ConfigOverrides = ReadonlyMap<string, string>;

export interface BrokerImage extends BrokerRegistration {
  readonly id: number;
  /** The czxid of the registration: names this incarnation (KIP-380). */
  readonly epoch: number;
  /** Changes of the registration's content in this incarnation. */
  readonly version: number;
}

export interface DirectoryImage {
  readonly directoryId: string;
  /** Epoch of the first incarnation that registered with this directory (after another one). */
  readonly since: Zxid;
}

export interface DeletedTopicImage {
  readonly name: string;
  readonly zxid: Zxid;
}

export interface TopicImage {
  readonly name: string;
  readonly id: string;
  /** Of the topic's znode: guards a change of the assignment. */
  readonly version: number;
  /** Of the topic's creation; 0 before it is written. A topic that was deleted and created again has the old versions, but another one of these. */
  readonly czxid: Zxid;
  readonly config: ConfigOverrides;
  /** Of the config's znode; -1 when there is none. */
  readonly configVersion: number;
  /** The topic id in the znode `/admin/delete_topics/T`, if there is one. */
  readonly deletionMark: string | undefined;
  /** The mark names this incarnation of the topic: it is going. */
  readonly markedForDeletion: boolean;
  /** Index = partition number. */
  readonly partitions: readonly PartitionImage[];
}

export interface PartitionImage {
  /** The first is the preferred leader. */
  readonly replicas: readonly number[];
  readonly adding: readonly number[];
  readonly removing: readonly number[];
  /** Undefined until the controller has written it. */
  readonly state: PartitionState | undefined;
  /** Version of the state's znode; -1 when there is none. */
  readonly stateVersion: number;
  /** Zxid of the state's last change; 0 when there is none. */
  readonly stateZxid: Zxid;
}

export interface PartitionStateEntry {
  readonly state: PartitionState;
  readonly version: number;
  readonly zxid: Zxid;
}

export interface UnplacedTopic {
  readonly config: ConfigOverrides;
  readonly configVersion: number;
  /** The topic id in the deletion mark. */
  readonly deletionMark: string | undefined;
  readonly states: ReadonlyMap<number, PartitionStateEntry>;
}

export const noConfig: ConfigOverrides = new Map();
/** The name under which settings of all brokers are kept. */
export const defaultBrokerConfig = '<default>';

export const emptyImage: MetadataImage = {
  zxid: 0,
  clusterId: undefined,
  brokers: new Map(),
  directories: new Map(),
  topics: SharedMap.empty(),
  topicNames: new Map(),
  deletedTopicIds: new Map(),
  controllerId: -1,
  controllerEpoch: 0,
  controllerEpochVersion: -1,
  brokerConfigs: new Map(),
  unplaced: new Map(),
};

export function topicById(image: MetadataImage, topicId: string): TopicImage | undefined {
  const name = image.topicNames.get(topicId);
  return name === undefined ? undefined : image.topics.get(name);
}

/** Whether exactly this incarnation is registered. */
export function isAlive(image: MetadataImage, member: Member): boolean {
  return image.brokers.get(member.brokerId)?.epoch === member.brokerEpoch;
}

/** The current incarnation of a broker, if it is registered. */
export function memberOf(image: MetadataImage, brokerId: number): Member | undefined {
  const broker = image.brokers.get(brokerId);
  return broker === undefined ? undefined : { brokerId, brokerEpoch: broker.epoch };
}
