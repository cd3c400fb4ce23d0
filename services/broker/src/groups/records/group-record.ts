import { unreachable } from '@naru/runtime';
import { decodeGroupMetadata, encodeGroupMetadata, type GroupMetadataValue } from './group-metadata-value.ts';
import { decodeOffsetCommit, encodeOffsetCommit, type OffsetCommitValue } from './offset-commit-value.ts';
import { decodeKey, encodeKey } from './record-key.ts';

/** One record of `__consumer_offsets`. A value of null is a tombstone: it takes back what the key said. */
export type GroupRecord =
  | {
      readonly kind: 'offset';
      readonly group: string;
      readonly topic: string;
      readonly partition: number;
      readonly value: OffsetCommitValue | null;
    }
  | { readonly kind: 'group'; readonly group: string; readonly value: GroupMetadataValue | null };

export interface RecordBytes {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

export function encodeRecord(record: GroupRecord): RecordBytes {
  const key = encodeKey(record);
  if (record.value === null) return { key, value: null };
  return record.kind === 'offset'
    ? { key, value: encodeOffsetCommit(record.value) }
    : { key, value: encodeGroupMetadata(record.value) };
}

/** Undefined for a key of a kind that this version does not know. Throws `ProtocolError` for what is no record of this topic. */
export function decodeRecord(key: Uint8Array, value: Uint8Array | null): GroupRecord | undefined {
  const decoded = decodeKey(key);
  switch (decoded.kind) {
    case 'offset':
      return { ...decoded, value: value === null ? null : decodeOffsetCommit(value) };
    case 'group':
      return { ...decoded, value: value === null ? null : decodeGroupMetadata(value) };
    case 'unknown':
      return undefined;
    default:
      return unreachable(decoded);
  }
}
