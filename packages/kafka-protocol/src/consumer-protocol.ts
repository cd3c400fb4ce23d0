import { ProtocolError } from './protocol-error.ts';
import { Reader } from './reader.ts';
import { bytesOf, type Writer } from './writer.ts';

/**
 * What members tell each other through the group coordinator, which looks inside only where a group changes its protocol (KIP-848): Kafka's ConsumerProtocolSubscription and
 * ConsumerProtocolAssignment (clients/src/main/resources/common/message). Kafka's own clients read and write the same bytes, so a group may mix both.
 */
export const consumerProtocolType = 'consumer';

/** The newest version that is known. A newer one is read as this one: versions only add fields at the end (Kafka: ConsumerProtocol). */
export const protocolVersionMax = 3;

/** Bounds of one member's message, so that one broken member cannot take the leader's memory. */
export const protocolLimits = { topicsMax: 50_000, partitionsMax: 200_000, bytesMax: 16_777_216 } as const;

interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** What one member wants and has. */
export interface Subscription {
  readonly topics: readonly string[];
  /** The assignor's own message to the leader's assignor. */
  readonly userData: Uint8Array | null;
  /** From version 1 on: what the member still holds (only under the cooperative protocol). */
  readonly ownedPartitions: readonly TopicPartition[];
  /** From version 2 on: the generation in which the partitions were assigned; -1 unknown. */
  readonly generationId: number;
  /** From version 3 on. */
  readonly rackId: string | null;
}

export interface Assignment {
  readonly partitions: readonly TopicPartition[];
  readonly userData: Uint8Array | null;
}

/** Throws `ProtocolError` for what is longer than the limits. */
export function encodeSubscription(subscription: Subscription, version: number = protocolVersionMax): Uint8Array {
  return memberBytes((writer) => {
    writer.int16(version);
    writer.int32(subscription.topics.length);
    for (const topic of subscription.topics) writer.string(topic, false);
    writer.bytes(subscription.userData, false);
    if (version >= 1) writePartitions(writer, subscription.ownedPartitions);
    if (version >= 2) writer.int32(subscription.generationId);
    if (version >= 3) writer.string(subscription.rackId, false);
  });
}

/**
 * Throws `ProtocolError`. Bytes behind the last known field belong to a newer version and are ignored. KafkaJS calls itself version 1 and ends where version
 * 0 does: it owns nothing when it joins.
 */
export function decodeSubscription(bytes: Uint8Array): Subscription {
  const reader = readerOf(bytes);
  const version = readVersion(reader);
  const topics: string[] = [];
  const count = countOf(reader, 2, protocolLimits.topicsMax);
  for (let i = 0; i < count; i++) topics.push(readString(reader));
  const userData = reader.bytes(reader.int32());
  const ownedPartitions = version >= 1 && reader.remaining > 0 ? readPartitions(reader) : [];
  const generationId = version >= 2 ? reader.int32() : -1;
  const rackId = version >= 3 ? reader.string(reader.int16()) : null;
  return { topics, userData, ownedPartitions, generationId, rackId };
}

export function encodeAssignment(assignment: Assignment, version: number = protocolVersionMax): Uint8Array {
  return memberBytes((writer) => {
    writer.int16(version);
    writePartitions(writer, assignment.partitions);
    writer.bytes(assignment.userData, false);
  });
}

/** Throws `ProtocolError`. No bytes at all: nothing is assigned. */
export function decodeAssignment(bytes: Uint8Array): Assignment {
  if (bytes.length === 0) return { partitions: [], userData: null };
  const reader = readerOf(bytes);
  readVersion(reader);
  const partitions = readPartitions(reader);
  return { partitions, userData: reader.bytes(reader.int32()) };
}

/** What the eager `sticky` assignor sends as user data (Kafka: StickyAssignor, schema 1): it holds nothing when it joins, so it must say what it held. */
export interface StickyUserData {
  readonly partitions: readonly TopicPartition[];
  readonly generation: number;
}

export function encodeStickyUserData(data: StickyUserData): Uint8Array {
  return memberBytes((writer) => {
    writePartitions(writer, data.partitions);
    writer.int32(data.generation);
  });
}

/** Schema 0 has no generation: -1. Throws `ProtocolError`. */
export function decodeStickyUserData(bytes: Uint8Array): StickyUserData {
  const reader = readerOf(bytes);
  const partitions = readPartitions(reader);
  return { partitions, generation: reader.remaining >= 4 ? reader.int32() : -1 };
}

function writePartitions(writer: Writer, partitions: readonly TopicPartition[]): void {
  const byTopic = new Map<string, TopicPartition[]>();
  for (const one of partitions) {
    const list = byTopic.get(one.topic);
    if (list === undefined) byTopic.set(one.topic, [one]);
    else list.push(one);
  }
  writer.int32(byTopic.size);
  for (const [topic, list] of byTopic) {
    writer.string(topic, false);
    writer.int32(list.length);
    for (const { partition } of list) writer.int32(partition);
  }
}

function readPartitions(reader: Reader): TopicPartition[] {
  const partitions: TopicPartition[] = [];
  const topicsCount = countOf(reader, 6, protocolLimits.topicsMax);
  for (let i = 0; i < topicsCount; i++) {
    const topic = readString(reader);
    const count = countOf(reader, 4, protocolLimits.partitionsMax - partitions.length);
    for (let j = 0; j < count; j++) {
      const partition = reader.int32();
      if (partition < 0) throw new ProtocolError('malformed', `a partition ${partition}`);
      partitions.push({ topic, partition });
    }
  }
  return partitions;
}

function readerOf(bytes: Uint8Array): Reader {
  if (bytes.length > protocolLimits.bytesMax) throw new ProtocolError('too-large', `${bytes.length} bytes of a member`);
  return new Reader(bytes);
}

function readVersion(reader: Reader): number {
  const version = reader.int16();
  if (version < 0) throw new ProtocolError('unsupported', `version ${version} of the consumer protocol`);
  return Math.min(version, protocolVersionMax);
}

function readString(reader: Reader): string {
  const text = reader.string(reader.int16());
  if (text === null) throw new ProtocolError('malformed', 'a topic name is null');
  return text;
}

function countOf(reader: Reader, elementBytesMin: number, max: number): number {
  const count = reader.checkCount(reader.int32(), elementBytesMin);
  if (count < 0) throw new ProtocolError('malformed', 'a list is null');
  if (count > max) throw new ProtocolError('too-large', `a list of ${count}`);
  return count;
}

function memberBytes(write: (writer: Writer) => void): Uint8Array {
  const bytes = bytesOf(write);
  if (bytes.length > protocolLimits.bytesMax) throw new ProtocolError('too-large', `${bytes.length} bytes of a member`);
  return bytes;
}
