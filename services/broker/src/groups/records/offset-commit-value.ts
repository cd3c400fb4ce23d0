import { bytesOf, ProtocolError, Reader } from '@naru/kafka-protocol';
import { FieldReader } from './flexible-fields.ts';

/** A committed offset as it stands in `__consumer_offsets` (Kafka's OffsetCommitValue). */
export interface OffsetCommitValue {
  /** The next one to read. */
  readonly offset: number;
  /** Of the last record that was processed; -1 unknown (KIP-320). */
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** Milliseconds since the epoch. */
  readonly commitTimestampMs: number;
}

/** What Kafka writes since 2.1; v4 (flexible, with a topic id) is read, too. */
const versionWritten = 3;
const versionMax = 4;
const flexibleFrom = 4;

export function encodeOffsetCommit(value: OffsetCommitValue): Uint8Array {
  return bytesOf((writer) => {
    writer.int16(versionWritten);
    writer.int64(value.offset);
    writer.int32(value.leaderEpoch);
    writer.string(value.metadata, false);
    writer.int64(value.commitTimestampMs);
  });
}

/** v0 has no leader epoch, v1 an expiry time in its stead, v2 neither. Throws `ProtocolError`. */
export function decodeOffsetCommit(bytes: Uint8Array): OffsetCommitValue {
  const reader = new Reader(bytes);
  const version = reader.int16();
  if (version < 0 || version > versionMax) throw new ProtocolError('malformed', `offset value version ${version}`);
  const fields = new FieldReader(reader, version >= flexibleFrom);
  const offset = reader.int64();
  const leaderEpoch = version >= 3 ? reader.int32() : -1;
  const metadata = fields.string('metadata');
  const commitTimestampMs = reader.int64();
  // The expiry time: offsets expire by the group's age since KIP-211.
  if (version === 1) reader.int64();
  fields.skipTags();
  reader.finish();
  return { offset, leaderEpoch, metadata, commitTimestampMs };
}
