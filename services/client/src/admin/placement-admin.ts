import { type broker, brokerMethods } from '@naru/rpc';
import type { Cluster, Target } from '../cluster/cluster.ts';
import { type KafkaError, NotControllerError } from '../errors.ts';
import { errorFromCode } from '../errors-from-wire.ts';
import type { TopicPartition } from '../topic-partition.ts';
import type {
  ElectionType,
  OngoingReassignment,
  PartitionOutcome,
  PartitionReassignmentTarget,
} from './placement-results.ts';

const notControllerCode = 41;

/** Where partitions are and who leads them. Asked of the controller, which knows first. */
export class PlacementAdmin {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async elect(
    type: ElectionType,
    partitions: readonly TopicPartition[] | undefined,
    timeoutMs: number,
  ): Promise<PartitionOutcome[]> {
    const request = {
      unclean: type === 'unclean',
      partitions: toNames(partitions ?? []),
      allPartitions: partitions === undefined,
      timeoutMs,
    };
    const check = (answer: broker.ElectLeadersResponse): KafkaError | undefined =>
      answer.errorCode === notControllerCode ? moved() : notController(answer.partitions);
    const answer = await this.#cluster.call(toController, brokerMethods.electLeaders, request, {
      deadlineMs: this.#cluster.nowMs() + timeoutMs,
      check,
    });
    if (answer.errorCode !== 0) throw errorFromCode(answer.errorCode, answer.errorMessage, {});
    return answer.partitions.map(toOutcome);
  }

  async reassign(
    targets: readonly PartitionReassignmentTarget[],
    { timeoutMs, keepReplicationFactor }: { readonly timeoutMs: number; readonly keepReplicationFactor: boolean },
  ): Promise<PartitionOutcome[]> {
    const partitions = targets.map(({ topic, partition, replicas }) => {
      return { topic, partition, target: [...(replicas ?? [])], cancel: replicas === undefined || replicas === null };
    });
    const request = { partitions, timeoutMs, keepReplicationFactor };
    const answer = await this.#cluster.call(toController, brokerMethods.alterPartitionReassignments, request, {
      deadlineMs: this.#cluster.nowMs() + timeoutMs,
      check: ({ partitions: results }) => notController(results),
    });
    return answer.partitions.map(toOutcome);
  }

  async list(partitions: readonly TopicPartition[] | undefined, timeoutMs: number): Promise<OngoingReassignment[]> {
    if (partitions?.length === 0) return [];
    const answer = await this.#cluster.call(
      toController,
      brokerMethods.listPartitionReassignments,
      { partitions: toNames(partitions ?? []) },
      { deadlineMs: this.#cluster.nowMs() + timeoutMs },
    );
    return answer.partitions;
  }
}

const toController: Target = (image) => image.brokers.get(image.controllerId);

function toNames(partitions: readonly TopicPartition[]): broker.PartitionName[] {
  return partitions.map(({ topic, partition }) => ({ topic, partition }));
}

function notController(results: readonly broker.PartitionResult[]): KafkaError | undefined {
  return results.some((result) => result.errorCode === notControllerCode) ? moved() : undefined;
}

function moved(): KafkaError {
  return new NotControllerError('the controller has moved');
}

function toOutcome({ topic, partition, errorCode, errorMessage }: broker.PartitionResult): PartitionOutcome {
  const error = errorCode === 0 ? undefined : errorFromCode(errorCode, errorMessage, { topic, partition });
  return { topic, partition, error };
}
