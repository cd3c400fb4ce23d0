import type { ConsumerGroupSettings } from '../core/consumer/consumer-group-types.ts';
import type { GroupSettings } from '../core/group-types.ts';

export interface GroupCoordinatorSettings extends GroupSettings {
  /** `group.consumer.*`: of groups with a server-side assignor. */
  readonly consumer: ConsumerGroupSettings;
  /** `offset.metadata.max.bytes`. */
  readonly offsetMetadataBytesMax: number;
  /** `offsets.retention.minutes`, in milliseconds. */
  readonly offsetsRetentionMs: number;
  /** `offsets.retention.check.interval.ms`. */
  readonly offsetsRetentionCheckIntervalMs: number;
  /** `offsets.commit.timeout.ms`. */
  readonly offsetsCommitTimeoutMs: number;
}

/** Group ids, instance ids and the like, UTF-8. Kafka has no limit but its strings' 32,767 bytes. */
export const nameBytesMax = 1_024;

export function isTooLong(...names: readonly string[]): boolean {
  return names.some((name) => Buffer.byteLength(name) > nameBytesMax);
}
