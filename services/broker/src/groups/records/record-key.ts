import { bytesOf, ProtocolError, Reader } from '@naru/kafka-protocol';

/**
 * Keys of `__consumer_offsets`: an int16 version, which says what the value is, then the group and what else names the record (Kafka's keys of the
 * same names). Kinds that are not listed belong to other versions: they are left as they are.
 */
export type RecordKey =
  | { readonly kind: 'offset'; readonly group: string; readonly topic: string; readonly partition: number }
  | { readonly kind: GroupKind; readonly group: string }
  | { readonly kind: MemberKind; readonly group: string; readonly member: string }
  | { readonly kind: 'unknown'; readonly version: number };

/** A classic group; a group with a server-side assignor (KIP-848), and the epoch of its target assignment. */
export type GroupKind = 'group' | 'consumer-group' | 'target-epoch';
/** Of a member of a group with a server-side assignor: what it said, what it should have, what it has. */
export type MemberKind = 'consumer-member' | 'target-assignment' | 'current-assignment';

/** Offsets are read in versions 0 and 1 alike. */
const versions = {
  offset: 1,
  group: 2,
  'consumer-group': 3,
  'consumer-member': 5,
  'target-epoch': 6,
  'target-assignment': 7,
  'current-assignment': 8,
} as const;

const groupKinds = new Map<number, GroupKind>([
  [versions.group, 'group'],
  [versions['consumer-group'], 'consumer-group'],
  [versions['target-epoch'], 'target-epoch'],
]);
const memberKinds = new Map<number, MemberKind>([
  [versions['consumer-member'], 'consumer-member'],
  [versions['target-assignment'], 'target-assignment'],
  [versions['current-assignment'], 'current-assignment'],
]);

export function encodeKey(key: Exclude<RecordKey, { kind: 'unknown' }>): Uint8Array {
  return bytesOf((writer) => {
    writer.int16(versions[key.kind]);
    writer.string(key.group, false);
    if (key.kind === 'offset') {
      writer.string(key.topic, false);
      writer.int32(key.partition);
    } else if ('member' in key) {
      writer.string(key.member, false);
    }
  });
}

/** Throws `ProtocolError`. */
export function decodeKey(bytes: Uint8Array): RecordKey {
  const reader = new Reader(bytes);
  const version = reader.int16();
  if (version < 0) throw new ProtocolError('malformed', `key version ${version}`);
  const key = decodeFields(version, reader);
  if (key.kind !== 'unknown') reader.finish();
  return key;
}

function decodeFields(version: number, reader: Reader): RecordKey {
  if (version <= versions.offset) {
    const group = required(reader, 'group');
    const key = { kind: 'offset', group, topic: required(reader, 'topic'), partition: reader.int32() } as const;
    if (key.partition < 0) throw new ProtocolError('malformed', `partition ${key.partition}`);
    return key;
  }
  const groupKind = groupKinds.get(version);
  if (groupKind !== undefined) return { kind: groupKind, group: required(reader, 'group') };
  const memberKind = memberKinds.get(version);
  if (memberKind === undefined) return { kind: 'unknown', version };
  return { kind: memberKind, group: required(reader, 'group'), member: required(reader, 'member') };
}

function required(reader: Reader, field: string): string {
  const value = reader.string(reader.int16());
  if (value === null) throw new ProtocolError('malformed', `${field} is null`);
  return value;
}
