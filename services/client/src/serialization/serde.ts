import type { ConsumedHeader } from '../consumer/consumer-record.ts';

/** What a serializer sees besides the value. Headers that it pushes are written with the record. */
export interface SerializeContext {
  readonly topic: string;
  readonly part: 'key' | 'value';
  readonly headers: [name: string, value: Uint8Array | string | null][];
}

/** Turns a key or value into bytes; not called for null, which stays null. What it throws becomes a `SerializationError`. */
export interface Serializer<T> {
  /** The bytes of this value; null writes null. Throws for a value that it cannot write. */
  serialize(value: T, context: SerializeContext): Uint8Array | null;
}

/** What a deserializer sees besides the bytes. */
export interface DeserializeContext {
  readonly topic: string;
  readonly part: 'key' | 'value';
  readonly headers: readonly ConsumedHeader[];
}

/** Turns bytes into a key or value; not called for null. What it throws becomes a `RecordDeserializationError`. */
export interface Deserializer<T> {
  /** The value of these bytes. Throws when they are none. */
  deserialize(bytes: Buffer, context: DeserializeContext): T;
}

/** Both ways. */
export interface Serde<T> extends Serializer<T>, Deserializer<T> {}
