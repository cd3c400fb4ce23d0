import { errorCodes, type KafkaErrorName } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';

/** Undefined: it was done. */
export function partitionResult(
  { topic, partition }: { readonly topic: string; readonly partition: number },
  refusal: { readonly error: KafkaErrorName; readonly message: string } | undefined,
): broker.PartitionResult {
  return {
    topic,
    partition,
    errorCode: errorCodes[refusal?.error ?? 'NONE'],
    errorMessage: refusal?.message ?? '',
  };
}

export function isNotControllerFor(response: { readonly partitions: readonly broker.PartitionResult[] }): boolean {
  return response.partitions.some((result) => result.errorCode === errorCodes.NOT_CONTROLLER);
}
