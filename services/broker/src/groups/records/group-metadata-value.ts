import { bytesOf, ProtocolError, Reader } from '@naru/kafka-protocol';
import { FieldReader } from './flexible-fields.ts';

/** A generation of a classic group as it stands in `__consumer_offsets` (Kafka's GroupMetadataValue). */
export interface GroupMetadataValue {
  readonly protocolType: string;
  readonly generation: number;
  /** Null in an empty group. */
  readonly protocol: string | null;
  /**
   * Null in an empty group. Null beside members, which Kafka does not write: the generation is reserved and its members have joined, but it has no
   * assignments yet, so that whoever loads it lets everybody join again.
   */
  readonly leader: string | null;
  /** When it came into its state, milliseconds since the epoch; -1 unknown. */
  readonly stateTimestampMs: number;
  readonly members: readonly GroupMemberValue[];
}

export interface GroupMemberValue {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  /** Its metadata for the group's protocol. */
  readonly subscription: Uint8Array;
  readonly assignment: Uint8Array;
}

/** What Kafka writes since 2.3; v4 (flexible) is read, too. */
const versionWritten = 3;
const versionMax = 4;
const flexibleFrom = 4;
/** Two strings, three lengths of v0 at their shortest. */
const memberBytesMin = 9;

export function encodeGroupMetadata(value: GroupMetadataValue): Uint8Array {
  return bytesOf((writer) => {
    writer.int16(versionWritten);
    writer.string(value.protocolType, false);
    writer.int32(value.generation);
    writer.string(value.protocol, false);
    writer.string(value.leader, false);
    writer.int64(value.stateTimestampMs);
    writer.int32(value.members.length);
    for (const member of value.members) {
      writer.string(member.memberId, false);
      writer.string(member.instanceId, false);
      writer.string(member.clientId, false);
      writer.string(member.clientHost, false);
      writer.int32(member.rebalanceTimeoutMs);
      writer.int32(member.sessionTimeoutMs);
      writer.bytes(member.subscription, false);
      writer.bytes(member.assignment, false);
    }
  });
}

/** Throws `ProtocolError`. */
export function decodeGroupMetadata(bytes: Uint8Array): GroupMetadataValue {
  const reader = new Reader(bytes);
  const version = reader.int16();
  if (version < 0 || version > versionMax) throw new ProtocolError('malformed', `group value version ${version}`);
  const fields = new FieldReader(reader, version >= flexibleFrom);
  const protocolType = fields.string('protocol type');
  const generation = reader.int32();
  const protocol = fields.nullableString();
  const leader = fields.nullableString();
  const stateTimestampMs = version >= 2 ? reader.int64() : -1;
  const count = fields.count(memberBytesMin, 'members');
  const members: GroupMemberValue[] = [];
  for (let i = 0; i < count; i++) members.push(decodeMember(reader, fields, version));
  fields.skipTags();
  reader.finish();
  return { protocolType, generation, protocol, leader, stateTimestampMs, members };
}

function decodeMember(reader: Reader, fields: FieldReader, version: number): GroupMemberValue {
  const memberId = fields.string('member id');
  const instanceId = version >= 3 ? fields.nullableString() : null;
  const clientId = fields.string('client id');
  const clientHost = fields.string('client host');
  const rebalanceTimeoutMs = version >= 1 ? reader.int32() : -1;
  const sessionTimeoutMs = reader.int32();
  const member = {
    memberId,
    instanceId,
    clientId,
    clientHost,
    // v0 clients had one timeout for both.
    rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
    sessionTimeoutMs,
    subscription: fields.bytes('subscription'),
    assignment: fields.bytes('assignment'),
  };
  fields.skipTags();
  return member;
}
