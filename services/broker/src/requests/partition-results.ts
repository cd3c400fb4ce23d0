import { errorCodes, type KafkaErrorName } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import type { MetadataImage } from '../cluster/metadata-image.ts';
import { MetadataTimeoutError } from '../cluster/metadata-publisher.ts';
import { type AdminDependencies, remainingMs } from './admin-dependencies.ts';

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

const visibleWaitMsMax = 5_000;

/** So that who asked sees on this broker what was done. Somebody may have changed it again meanwhile; then only the time ends the wait. */
export async function seenSoon(
  deps: AdminDependencies,
  deadlineMs: number,
  isSeen: (image: MetadataImage) => boolean,
): Promise<void> {
  try {
    await deps.publisher.waitUntil(isSeen, Math.min(visibleWaitMsMax, remainingMs(deps.clock, deadlineMs)));
  } catch (error) {
    if (!(error instanceof MetadataTimeoutError)) throw error;
  }
}
