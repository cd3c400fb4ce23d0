import { unreachable } from '@naru/runtime';
import {
  type ConsumerGroupValue,
  type ConsumerMemberValue,
  type CurrentAssignmentValue,
  consumerGroupValue,
  consumerMemberValue,
  currentAssignmentValue,
  type TargetAssignmentValue,
  type TargetEpochValue,
  targetAssignmentValue,
  targetEpochValue,
} from './consumer-group-values.ts';
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
  | { readonly kind: 'group'; readonly group: string; readonly value: GroupMetadataValue | null }
  | ConsumerGroupRecord;

/** Records of a group with a server-side assignor (KIP-848). */
export type ConsumerGroupRecord =
  | OfGroup<'consumer-group', ConsumerGroupValue>
  | OfGroup<'target-epoch', TargetEpochValue>
  | OfMember<'consumer-member', ConsumerMemberValue>
  | OfMember<'target-assignment', TargetAssignmentValue>
  | OfMember<'current-assignment', CurrentAssignmentValue>;

interface OfGroup<Kind, Value> {
  readonly kind: Kind;
  readonly group: string;
  readonly value: Value | null;
}

interface OfMember<Kind, Value> extends OfGroup<Kind, Value> {
  readonly member: string;
}

export interface RecordBytes {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

export function encodeRecord(record: GroupRecord): RecordBytes {
  return { key: encodeKey(record), value: encodeValue(record) };
}

function encodeValue(record: GroupRecord): Uint8Array | null {
  if (record.value === null) return null;
  switch (record.kind) {
    case 'offset':
      return encodeOffsetCommit(record.value);
    case 'group':
      return encodeGroupMetadata(record.value);
    case 'consumer-group':
      return consumerGroupValue.encode(record.value);
    case 'target-epoch':
      return targetEpochValue.encode(record.value);
    case 'consumer-member':
      return consumerMemberValue.encode(record.value);
    case 'target-assignment':
      return targetAssignmentValue.encode(record.value);
    case 'current-assignment':
      return currentAssignmentValue.encode(record.value);
    default:
      return unreachable(record);
  }
}

/** Undefined for a key of a kind that this version does not know. Throws `ProtocolError` for what is no record of this topic. */
export function decodeRecord(key: Uint8Array, value: Uint8Array | null): GroupRecord | undefined {
  const decoded = decodeKey(key);
  switch (decoded.kind) {
    case 'offset':
      return { ...decoded, value: value === null ? null : decodeOffsetCommit(value) };
    case 'group':
      return { ...decoded, kind: decoded.kind, value: value === null ? null : decodeGroupMetadata(value) };
    case 'consumer-group':
      return { ...decoded, kind: decoded.kind, value: value === null ? null : consumerGroupValue.decode(value) };
    case 'target-epoch':
      return { ...decoded, kind: decoded.kind, value: value === null ? null : targetEpochValue.decode(value) };
    case 'consumer-member':
      return { ...decoded, kind: decoded.kind, value: value === null ? null : consumerMemberValue.decode(value) };
    case 'target-assignment':
      return { ...decoded, kind: decoded.kind, value: value === null ? null : targetAssignmentValue.decode(value) };
    case 'current-assignment':
      return { ...decoded, kind: decoded.kind, value: value === null ? null : currentAssignmentValue.decode(value) };
    case 'unknown':
      return undefined;
    default:
      return unreachable(decoded);
  }
}
