import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { StorageError } from '../log/log-errors.ts';
import { codeOf } from '../replication/error-codes.ts';
import type { Partition } from '../replication/partition.ts';
import type { ReplicaManager } from '../replication/replica-manager.ts';

/** Timestamps with a meaning of their own, as on Kafka's wire. */
const latest = -1;
const earliest = -2;
/** The record with the largest timestamp (KIP-734). */
const maxTimestamp = -3;

const unknown = -1;

/**
 * ListOffsets: the first, the latest or the first offset at a time, of what consumers may read.
 *
 * - latest is the high watermark. A new leader whose high watermark has not passed the start of its epoch may know an older one than clients
 *   have seen: OFFSET_NOT_AVAILABLE, try again (row 15, C10).
 * - a timestamp that nobody has reached: offset -1, no error.
 */
export class ListOffsetsHandler {
  readonly #replicas: ReplicaManager;

  constructor(replicas: ReplicaManager) {
    this.#replicas = replicas;
  }

  readonly handle = async (request: broker.ListOffsetsRequest): Promise<broker.ListOffsetsResponse> => {
    return { partitions: await Promise.all(request.partitions.map((asked) => this.#offsetOf(asked))) };
  };

  async #offsetOf(asked: broker.PartitionTimestamp): Promise<broker.PartitionOffset> {
    const found = this.#replicas.find(asked.topic, '', asked.partition);
    if (found.kind !== 'partition') return answerOf(asked, codeOf[found.kind]);
    const check = found.partition.checkLeader(asked.currentLeaderEpoch);
    if (check !== 'leader') return answerOf(asked, codeOf[check]);
    try {
      return await lookUp(asked, found.partition);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      return { ...answerOf(asked, codeOf['storage-failed']), errorMessage: error.message };
    }
  }
}

async function lookUp(asked: broker.PartitionTimestamp, partition: Partition): Promise<broker.PartitionOffset> {
  const { log, highWatermark, logStartOffset } = partition;
  const { knowsLatestOffset } = partition.state;
  const found = answerOf(asked, errorCodes.NONE);
  switch (asked.timestamp) {
    case earliest:
      return { ...found, offset: logStartOffset, leaderEpoch: log.leaderEpochs.epochOf(logStartOffset) };
    case latest:
      if (!knowsLatestOffset) return answerOf(asked, codeOf['offset-not-available']);
      return { ...found, offset: highWatermark, leaderEpoch: partition.leaderEpoch };
    default: {
      const record =
        asked.timestamp === maxTimestamp
          ? await log.maxTimestampOffset()
          : await log.offsetForTimestamp(asked.timestamp);
      if (record === undefined) return found;
      if (record.offset < highWatermark) {
        return { ...found, offset: record.offset, timestamp: record.timestampMs, leaderEpoch: record.leaderEpoch };
      }
      return knowsLatestOffset ? found : answerOf(asked, codeOf['offset-not-available']);
    }
  }
}

function answerOf(asked: broker.PartitionTimestamp, errorCode: number): broker.PartitionOffset {
  return {
    topic: asked.topic,
    partition: asked.partition,
    errorCode,
    errorMessage: '',
    offset: unknown,
    timestamp: unknown,
    leaderEpoch: unknown,
  };
}
