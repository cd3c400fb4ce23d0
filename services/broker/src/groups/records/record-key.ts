import { ProtocolError, Reader, Writer } from '@naru/kafka-protocol';

/**
 * Keys of `__consumer_offsets`: an int16 version, then the fields (Kafka's OffsetCommitKey and GroupMetadataKey). The version also says what the
 * value is: 0 and 1 an offset (both read alike, 1 is written), 2 a classic group. Others belong to newer kinds of groups.
 */
export type RecordKey =
  | { readonly kind: 'offset'; readonly group: string; readonly topic: string; readonly partition: number }
  | { readonly kind: 'group'; readonly group: string }
  /** Left as it is: written by a version that knows more. */
  | { readonly kind: 'unknown'; readonly version: number };

const offsetKeyVersionMax = 1;
const groupKeyVersion = 2;

export function encodeKey(key: Exclude<RecordKey, { kind: 'unknown' }>): Uint8Array {
  const writer = new Writer();
  writer.int16(key.kind === 'offset' ? offsetKeyVersionMax : groupKeyVersion);
  writer.string(key.group, false);
  if (key.kind === 'offset') {
    writer.string(key.topic, false);
    writer.int32(key.partition);
  }
  return Buffer.concat(writer.finish());
}

/** Throws `ProtocolError`. */
export function decodeKey(bytes: Uint8Array): RecordKey {
  const reader = new Reader(bytes);
  const version = reader.int16();
  if (version < 0) throw new ProtocolError('malformed', `key version ${version}`);
  if (version > groupKeyVersion) return { kind: 'unknown', version };
  const group = required(reader, 'group');
  let key: RecordKey = { kind: 'group', group };
  if (version <= offsetKeyVersionMax) {
    key = { kind: 'offset', group, topic: required(reader, 'topic'), partition: reader.int32() };
    if (key.partition < 0) throw new ProtocolError('malformed', `partition ${key.partition}`);
  }
  reader.finish();
  return key;
}

function required(reader: Reader, field: string): string {
  const value = reader.string(reader.int16());
  if (value === null) throw new ProtocolError('malformed', `${field} is null`);
  return value;
}
