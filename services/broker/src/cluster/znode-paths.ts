/**
 * Where Naru keeps what in the coordinator's tree: the layout of ZooKeeper-era Kafka, so that a Kafka user's eyes find their way. Paths are
 * built and taken apart here and nowhere else.
 */
export const paths = {
  clusterId: '/cluster/id',
  controller: '/controller',
  controllerEpoch: '/controller_epoch',
  producerIdBlock: '/latest_producer_id_block',
  brokerIds: '/brokers/ids',
  brokerDirectories: '/brokers/directories',
  topics: '/brokers/topics',
  topicConfigs: '/config/topics',
  brokerConfigs: '/config/brokers',
  deleteTopics: '/admin/delete_topics',
  deletedTopics: '/admin/deleted_topics',

  broker: (brokerId: number): string => `/brokers/ids/${brokerId}`,
  brokerDirectory: (brokerId: number): string => `/brokers/directories/${brokerId}`,
  topic: (topic: string): string => `/brokers/topics/${topic}`,
  partitions: (topic: string): string => `/brokers/topics/${topic}/partitions`,
  partition: (topic: string, partition: number): string => `/brokers/topics/${topic}/partitions/${partition}`,
  partitionState: (topic: string, partition: number): string =>
    `/brokers/topics/${topic}/partitions/${partition}/state`,
  topicConfig: (topic: string): string => `/config/topics/${topic}`,
  brokerConfig: (name: string): string => `/config/brokers/${name}`,
  deleteTopic: (topic: string): string => `/admin/delete_topics/${topic}`,
  deletedTopic: (topicId: string): string => `/admin/deleted_topics/${topicId}`,
} as const;

/** Persistent znodes that everything else hangs on, parents first; the first broker creates them. */
export const rootPaths: readonly string[] = [
  '/cluster',
  '/brokers',
  paths.brokerIds,
  paths.brokerDirectories,
  paths.topics,
  '/config',
  paths.topicConfigs,
  paths.brokerConfigs,
  '/admin',
  paths.deleteTopics,
  paths.deletedTopics,
];

/** What a path of the tree is about. `other`: structure without content of its own, or not ours. */
export type ZnodeSubject =
  | { readonly kind: 'cluster-id' | 'controller' | 'controller-epoch' | 'other' }
  | { readonly kind: 'broker' | 'broker-directory'; readonly brokerId: number }
  | { readonly kind: 'topic' | 'topic-config' | 'delete-topic'; readonly topic: string }
  | { readonly kind: 'partition-state'; readonly topic: string; readonly partition: number }
  | { readonly kind: 'broker-config'; readonly name: string }
  | { readonly kind: 'deleted-topic'; readonly topicId: string };

const other: ZnodeSubject = { kind: 'other' };

export function subjectOf(path: string): ZnodeSubject {
  if (path === paths.controller) return { kind: 'controller' };
  if (path === paths.controllerEpoch) return { kind: 'controller-epoch' };
  if (path === paths.clusterId) return { kind: 'cluster-id' };
  const [, first, second, name, ...rest] = path.split('/');
  if (name === undefined || name === '') return other;
  if (rest.length === 0) return leafSubject(`/${first}/${second}`, name);
  if (first !== 'brokers' || second !== 'topics' || rest.length !== 3) return other;
  const partition = decimalOf(rest[1] as string);
  if (rest[0] !== 'partitions' || rest[2] !== 'state' || partition === undefined) return other;
  return { kind: 'partition-state', topic: name, partition };
}

function leafSubject(parent: string, name: string): ZnodeSubject {
  switch (parent) {
    case paths.brokerIds:
    case paths.brokerDirectories: {
      const brokerId = decimalOf(name);
      if (brokerId === undefined) return other;
      return { kind: parent === paths.brokerIds ? 'broker' : 'broker-directory', brokerId };
    }
    case paths.topics:
      return { kind: 'topic', topic: name };
    case paths.topicConfigs:
      return { kind: 'topic-config', topic: name };
    case paths.deleteTopics:
      return { kind: 'delete-topic', topic: name };
    case paths.brokerConfigs:
      return { kind: 'broker-config', name };
    case paths.deletedTopics:
      return { kind: 'deleted-topic', topicId: name };
    default:
      return other;
  }
}

/** Only the one spelling that we write: `007` is not broker 7. */
function decimalOf(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,9})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= 0x7fff_ffff ? value : undefined;
}
