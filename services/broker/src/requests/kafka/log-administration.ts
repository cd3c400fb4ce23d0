import { apis, errorCodes, type RequestOf, type ResponseOf } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { deleteRecords } from '../delete-records.ts';
import { describeLogDirs } from '../describe-log-dirs.ts';
import { describeProducers } from '../describe-producers.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';

const costBytes = 65_536;

/** DeleteRecords 0–2. */
export function deleteRecordsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 2],
    costBytes,
    authorization: 'Delete on Topic',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.deleteRecords, options, async ({ topics, timeoutMs }) => {
    const partitions = topics.flatMap((topic) =>
      topic.partitions.map(({ partitionIndex, offset }) => {
        return { topic: topic.name, partition: partitionIndex, beforeOffset: offset };
      }),
    );
    const deleted = await deleteRecords(deps.logs, { partitions, timeoutMs });
    let next = 0;
    return {
      topics: topics.map((topic) => ({
        name: topic.name,
        partitions: topic.partitions.map(({ partitionIndex }) => {
          const { lowWatermark, errorCode } = deleted.partitions[next++] as broker.RecordsDeleted;
          return { partitionIndex, lowWatermark, errorCode };
        }),
      })),
    };
  });
}

/** DescribeLogDirs 1–5. How large the volume is, and how full, is not said. */
export function describeLogDirsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [1, 5],
    costBytes,
    authorization: 'Describe on Cluster',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.describeLogDirs, options, ({ topics }) => {
    const partitions = (topics ?? []).flatMap(({ topic, partitions: indexes }) =>
      indexes.map((partition) => ({ topic, partition })),
    );
    // Nothing of nothing is asked, not everything.
    if (topics !== null && partitions.length === 0) return { results: [] };
    const { directories } = describeLogDirs(deps.logs, { partitions });
    return { results: directories.map(wireDirectory) };
  });
}

function wireDirectory({
  path,
  errorCode,
  replicas,
}: broker.LogDir): ResponseOf<typeof apis.describeLogDirs>['results'][number] {
  const byTopic = Map.groupBy(replicas, ({ topic }) => topic);
  return {
    errorCode,
    logDir: path,
    topics: [...byTopic].map(([name, list]) => ({
      name,
      partitions: list.map(({ partition, sizeBytes, offsetLag }) => {
        return { partitionIndex: partition, partitionSize: sizeBytes, offsetLag, isFutureKey: false };
      }),
    })),
  };
}

/** AlterReplicaLogDirs 1–2: refused, for a broker has one log directory. LOG_DIR_NOT_FOUND for another one; to be where it is already, is a success. */
export function alterReplicaLogDirsApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [1, 2], authorization: 'Alter on Cluster', onError: unexpected(deps.logger) } as const;
  return answeredApi(apis.alterReplicaLogDirs, options, ({ dirs }) => {
    const codeIn = (path: string, topic: string, partition: number): number => {
      if (path !== deps.logs.logDirectory) return errorCodes.LOG_DIR_NOT_FOUND;
      const isHere = deps.replicas.find(topic, '', partition).kind === 'partition';
      return isHere ? errorCodes.NONE : errorCodes.REPLICA_NOT_AVAILABLE;
    };
    return {
      results: dirs.flatMap(({ path, topics }) =>
        topics.map(({ name, partitions }) => ({
          topicName: name,
          partitions: partitions.map((partition) => {
            return { partitionIndex: partition, errorCode: codeIn(path, name, partition) };
          }),
        })),
      ),
    };
  });
}

type AskedProducers = RequestOf<typeof apis.describeProducers>['topics'];

/** DescribeProducers 0. There are no transactions to tell of. */
export function describeProducersApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 0],
    costBytes,
    authorization: 'Read on Topic',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.describeProducers, options, ({ topics }) => ({
    topics: topics.map((one) => producersOf(deps, one)),
  }));
}

function producersOf(
  { logs }: KafkaDependencies,
  { name, partitionIndexes }: AskedProducers[number],
): ResponseOf<typeof apis.describeProducers>['topics'][number] {
  const asked = partitionIndexes.map((partition) => ({ topic: name, partition }));
  const { partitions } = describeProducers(logs.replicas, { partitions: asked });
  return {
    name,
    partitions: partitions.map(({ partition, errorCode, producers }) => ({
      partitionIndex: partition,
      errorCode,
      activeProducers: producers.map((producer) => ({ ...producer, coordinatorEpoch: -1 })),
    })),
  };
}
