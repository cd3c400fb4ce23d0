import { type broker, brokerMethods } from '@naru/rpc';
import type { Cluster } from '../cluster/cluster.ts';
import { KafkaError } from '../errors.ts';
import { errorFromCode } from '../errors-from-wire.ts';
import type { DeletedRecords, LogDirDescription, RecordsToDelete } from './log-results.ts';

/** What stands in the logs of the brokers. */
export class LogAdmin {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Each partition is asked of its leader, by itself: one that has no leader keeps no other waiting. */
  deleteRecords(targets: readonly RecordsToDelete[], timeoutMs: number): Promise<DeletedRecords[]> {
    const deadlineMs = this.#cluster.nowMs() + timeoutMs;
    return Promise.all(targets.map((target) => this.#deleteFrom(target, deadlineMs)));
  }

  async describeDirs(brokerId: number, deadlineMs: number): Promise<LogDirDescription[]> {
    const method = brokerMethods.describeLogDirs;
    const answer = await this.#cluster.call(
      ({ brokers }) => brokers.get(brokerId),
      method,
      { partitions: [] },
      { deadlineMs },
    );
    return answer.directories.map(({ path, errorCode, replicas }) => ({
      path,
      error: errorCode === 0 ? undefined : errorFromCode(errorCode, '', { broker: brokerId }),
      replicas,
    }));
  }

  async #deleteFrom({ topic, partition, beforeOffset }: RecordsToDelete, deadlineMs: number): Promise<DeletedRecords> {
    const failed = (error: KafkaError): DeletedRecords => ({ topic, partition, error, lowWatermark: undefined });
    try {
      await this.#cluster.topic(topic, deadlineMs, { partitionsMin: partition + 1 });
      const timeoutMs = Math.max(1, Math.floor(deadlineMs - this.#cluster.nowMs()));
      const partitions = [{ topic, partition, beforeOffset: Number(beforeOffset) }];
      const answer = await this.#cluster.call(
        ({ brokers }) => brokers.get(this.#cluster.partition(topic, partition)?.leaderId ?? -1),
        brokerMethods.deleteRecords,
        { partitions, timeoutMs },
        { deadlineMs, check: retriableErrorIn },
      );
      const [result] = answer.partitions;
      const error = result === undefined ? undefined : errorOf(result);
      return error === undefined
        ? { topic, partition, error, lowWatermark: BigInt(result?.lowWatermark ?? -1) }
        : failed(error);
    } catch (error) {
      if (error instanceof KafkaError) return failed(error);
      throw error;
    }
  }
}

/** The leader has moved, or does not know yet how far it may delete. */
function retriableErrorIn({ partitions }: broker.DeleteRecordsResponse): KafkaError | undefined {
  const errors = partitions.map(errorOf);
  return errors.find((error) => error?.retriable);
}

function errorOf({ topic, partition, errorCode, errorMessage }: broker.RecordsDeleted): KafkaError | undefined {
  return errorCode === 0 ? undefined : errorFromCode(errorCode, errorMessage, { topic, partition });
}
