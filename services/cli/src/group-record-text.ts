import { decodeRecord, type GroupRecord } from '@naru/broker/group-record';
import { consumerProtocolType, decodeAssignment, decodeSubscription, ProtocolError } from '@naru/kafka-protocol';

/** A record of `__consumer_offsets` in the words of Kafka's schemas, as its tools print it. */
export interface GroupRecordText {
  readonly kind: GroupRecord['kind'];
  /** The version of the key says what the record is. */
  readonly key: { readonly type: number; readonly data: object };
  /** Null for a tombstone. */
  readonly value: { readonly version: number; readonly data: object } | null;
}

/**
 * Undefined for a kind that is not known here. With `insideMembers`, what the members of a classic group said to each other is decoded as well; else it is base64. Throws
 * `ProtocolError` for what is no record of this topic.
 */
export function groupRecordText(
  key: Uint8Array,
  value: Uint8Array | null,
  { insideMembers }: { readonly insideMembers: boolean },
): GroupRecordText | undefined {
  const record = decodeRecord(key, value);
  if (record === undefined) return undefined;
  const data = dataOfValue(record, insideMembers);
  return {
    kind: record.kind,
    key: { type: int16(key), data: dataOfKey(record) },
    value: value === null || data === null ? null : { version: int16(value), data },
  };
}

function int16(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readInt16BE(0);
}

function dataOfKey(record: GroupRecord): object {
  switch (record.kind) {
    case 'offset':
      return { group: record.group, topic: record.topic, partition: record.partition };
    case 'group':
      return { group: record.group };
    case 'consumer-group':
    case 'target-epoch':
      return { groupId: record.group };
    case 'consumer-member':
    case 'target-assignment':
    case 'current-assignment':
      return { groupId: record.group, memberId: record.member };
  }
}

/** A field with a tag stands there only when it has not its default, as in Kafka. */
function dataOfValue(record: GroupRecord, insideMembers: boolean): object | null {
  if (record.value === null) return null;
  switch (record.kind) {
    case 'offset': {
      const { offset, leaderEpoch, metadata, commitTimestampMs } = record.value;
      return { offset, leaderEpoch, metadata, commitTimestamp: commitTimestampMs };
    }
    case 'group':
      return generationOf(record.value, insideMembers && record.value.protocolType === consumerProtocolType);
    case 'consumer-group':
      return { epoch: record.value.epoch, metadataHash: record.value.metadataHash || undefined };
    case 'consumer-member': {
      const { classic, ...member } = record.value;
      return { ...member, classicMemberMetadata: classic === null ? undefined : classicOf(classic) };
    }
    case 'target-epoch':
    case 'target-assignment':
    case 'current-assignment':
      return record.value;
  }
}

type ValueOf<Kind> = NonNullable<Extract<GroupRecord, { readonly kind: Kind }>['value']>;
type Generation = ValueOf<'group'>;

function generationOf(value: Generation, insideMembers: boolean): object {
  const { protocolType, generation, protocol, leader, stateTimestampMs } = value;
  const members = value.members.map(({ instanceId, rebalanceTimeoutMs, sessionTimeoutMs, ...member }) => ({
    memberId: member.memberId,
    groupInstanceId: instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeout: rebalanceTimeoutMs,
    sessionTimeout: sessionTimeoutMs,
    subscription: insideMembers ? decoded(member.subscription, subscriptionOf) : base64(member.subscription),
    assignment: insideMembers ? decoded(member.assignment, assignmentOf) : base64(member.assignment),
  }));
  return { protocolType, generation, protocol, leader, currentStateTimestamp: stateTimestampMs, members };
}

function classicOf({ sessionTimeoutMs, protocols }: NonNullable<ValueOf<'consumer-member'>['classic']>): object {
  return {
    sessionTimeoutMs,
    supportedProtocols: protocols.map(({ name, metadata }) => ({ name, metadata: base64(metadata) })),
  };
}

/** Brokers do not check what members say to each other: what cannot be read is shown as it is. */
function decoded(bytes: Uint8Array, decode: (bytes: Uint8Array) => object): object | string {
  if (bytes.length === 0) return '';
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) return base64(bytes);
    throw error;
  }
}

function subscriptionOf(bytes: Uint8Array): object {
  const { topics, userData, ownedPartitions, generationId, rackId } = decodeSubscription(bytes);
  return { topics, userData: base64(userData), ownedPartitions: byTopic(ownedPartitions), generationId, rackId };
}

function assignmentOf(bytes: Uint8Array): object {
  const { partitions, userData } = decodeAssignment(bytes);
  return { assignedPartitions: byTopic(partitions), userData: base64(userData) };
}

function byTopic(list: readonly { readonly topic: string; readonly partition: number }[]): readonly object[] {
  return Array.from(
    Map.groupBy(list, ({ topic }) => topic),
    ([topic, ofTopic]) => ({ topic, partitions: ofTopic.map(({ partition }) => partition) }),
  );
}

function base64<Bytes extends Uint8Array | null>(bytes: Bytes): Bytes extends null ? null : string;
function base64(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('base64');
}
