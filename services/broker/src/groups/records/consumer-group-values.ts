import {
  bytesOf,
  type Decoded,
  type Encodable,
  type Fields,
  Message,
  ProtocolError,
  Reader,
  schema,
} from '@naru/kafka-protocol';

const { array, bytes, int8, int32, int64, optionalStruct, string, structs, uuid } = schema;

/** Kafka's values for a group with a server-side assignor (KIP-848), each in version 0, which is flexible. */
const version = 0;

const partitions = structs({ topicId: uuid(), partitions: array(int32()) });

const consumerGroup = {
  epoch: int32(),
  /** Of the subscribed topics and their partitions, when the epoch began (KIP-1101). */
  metadataHash: int64({ tag: 0, default: 0 }),
};
const consumerMember = {
  instanceId: string({ nullable: '0+' }),
  rackId: string({ nullable: '0+' }),
  clientId: string(),
  clientHost: string(),
  subscribedTopicNames: array(string()),
  subscribedTopicRegex: string({ nullable: '0+' }),
  rebalanceTimeoutMs: int32({ default: -1 }),
  serverAssignor: string({ nullable: '0+' }),
  /** Of a member that speaks the classic protocol. */
  classic: optionalStruct(
    { sessionTimeoutMs: int32(), protocols: structs({ name: string(), metadata: bytes() }) },
    { nullable: '0+', tag: 0 },
  ),
};
const targetEpoch = { assignmentEpoch: int32() };
const targetAssignment = { topicPartitions: partitions };
const currentAssignment = {
  memberEpoch: int32(),
  previousMemberEpoch: int32(),
  /** 0 stable, 1 has to give something up, 2 waits for what others have to give up. */
  state: int8(),
  assignedPartitions: partitions,
  partitionsPendingRevocation: partitions,
};

export type TopicPartitions = Decoded<typeof targetAssignment>['topicPartitions'];
export type ConsumerGroupValue = Decoded<typeof consumerGroup>;
export type ConsumerMemberValue = Decoded<typeof consumerMember>;
export type TargetEpochValue = Decoded<typeof targetEpoch>;
export type TargetAssignmentValue = Decoded<typeof targetAssignment>;
export type CurrentAssignmentValue = Decoded<typeof currentAssignment>;

export const consumerGroupValue = valueCodec(consumerGroup);
export const targetEpochValue = valueCodec(targetEpoch);
export const targetAssignmentValue = valueCodec(targetAssignment);
export const currentAssignmentValue = valueCodec(currentAssignment);

const memberCodec = valueCodec(consumerMember);
export const consumerMemberValue: typeof memberCodec = {
  ...memberCodec,
  decode: (bytes) => {
    const value = memberCodec.decode(bytes);
    if (value.classic === null) return value;
    // Copies: what is kept must not hold the whole batch.
    const protocols = value.classic.protocols.map(({ name, metadata }) => {
      return { name, metadata: Uint8Array.from(metadata) };
    });
    return { ...value, classic: { ...value.classic, protocols } };
  },
};

export interface ValueCodec<F extends Fields> {
  readonly fields: F;
  encode(value: Encodable<F>): Uint8Array;
  /** Throws `ProtocolError`. */
  decode(bytes: Uint8Array): Decoded<F>;
}

function valueCodec<const F extends Fields>(fields: F): ValueCodec<F> {
  const message = new Message(fields, { min: 0, max: version });
  return {
    fields,
    encode: (value) => {
      return bytesOf((writer) => {
        writer.int16(version);
        message.encode(writer, version, value);
      });
    },
    decode: (bytes) => {
      const reader = new Reader(bytes);
      const written = reader.int16();
      if (written !== version) throw new ProtocolError('malformed', `value version ${written}`);
      const value = message.decode(reader, version);
      reader.finish();
      return value;
    },
  };
}
