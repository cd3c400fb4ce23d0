import { apis, errorCodes, type RequestOf, type ResponseOf } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';

type Request = RequestOf<typeof apis.listOffsets>;
type Response = ResponseOf<typeof apis.listOffsets>;

const earliest = -2;
const earliestLocal = -4;
const latestTiered = -5;
const earliestPendingUpload = -6;
const unknown = -1;

/** ListOffsets 1–11. Everything is on local disks: the earliest local offset is the earliest, and there is no tiered one. */
export function listOffsetsApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [1, 11], authorization: 'Describe on Topic', onError: unexpected(deps.logger) } as const;
  return answeredApi(apis.listOffsets, options, (request) => listOffsets(deps, request));
}

async function listOffsets(deps: KafkaDependencies, request: Request): Promise<Response> {
  const asked: broker.PartitionTimestamp[] = request.topics.flatMap(({ name, partitions }) =>
    partitions
      .filter(({ timestamp }) => !isTiered(timestamp))
      .map(({ partitionIndex, currentLeaderEpoch, timestamp }) => ({
        topic: name,
        partition: partitionIndex,
        currentLeaderEpoch,
        timestamp: timestamp === earliestLocal ? earliest : timestamp,
      })),
  );
  const found = await deps.listOffsets.handle({ isolationLevel: request.isolationLevel, partitions: asked });
  let next = 0;
  return {
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, timestamp }) => {
        if (isTiered(timestamp)) return { partitionIndex, errorCode: tieredCode(timestamp), offset: unknown };
        const { errorCode, offset, timestamp: at, leaderEpoch } = found.partitions[next++] as broker.PartitionOffset;
        return { partitionIndex, errorCode, timestamp: at, offset, leaderEpoch };
      }),
    })),
  };
}

function isTiered(timestamp: number): boolean {
  return timestamp <= latestTiered;
}

function tieredCode(timestamp: number): number {
  return timestamp < earliestPendingUpload ? errorCodes.INVALID_REQUEST : errorCodes.NONE;
}
