import type { HeaderEntry } from '@naru/record';
import { KafkaError, SerializationError } from '../errors.ts';
import type { SerializeContext, Serializer } from '../serialization/serde.ts';
import type { HeadersInput, ProducerRecord } from './producer-record.ts';

export interface EncodedRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderEntry[];
}

/** Shared: nobody may add to it. */
const noHeaders: readonly HeaderEntry[] = Object.freeze([]);

/** Makes bytes of a record, with the application's serializers where it has some. Throws `SerializationError`. */
export class RecordEncoder<K, V> {
  readonly #key: Serializer<K> | undefined;
  readonly #value: Serializer<V> | undefined;

  constructor(key: Serializer<K> | undefined, value: Serializer<V> | undefined) {
    this.#key = key;
    this.#value = value;
  }

  encode(record: ProducerRecord<K, V>): EncodedRecord {
    if (typeof record !== 'object' || record === null) throw new SerializationError('a record needs a topic');
    const { topic } = record;
    if (record.value === undefined && 'messages' in record) {
      throw new SerializationError('a record has a value, not messages; sendMany takes a list of records', { topic });
    }
    if (record.headers !== undefined && (typeof record.headers !== 'object' || record.headers === null)) {
      throw noHeadersError(topic);
    }
    if (this.#key === undefined && this.#value === undefined) {
      const key = plain('key', record.key, topic);
      const value = plain('value', record.value, topic);
      return { key, value, headers: record.headers === undefined ? noHeaders : encodeHeaders(record.headers, topic) };
    }
    // A list of their own, so that serializers can add to it whatever the application passed.
    const headers = headerList(record.headers);
    const key = serialized(this.#key, 'key', record.key, { topic, part: 'key', headers });
    const value = serialized(this.#value, 'value', record.value, { topic, part: 'value', headers });
    return { key, value, headers: headers.length === 0 ? noHeaders : encodeHeaders(headers, topic) };
  }
}

function serialized<T>(
  serializer: Serializer<T> | undefined,
  part: string,
  value: T | null | undefined,
  context: SerializeContext,
): Uint8Array | null {
  if (serializer === undefined) return plain(part, value, context.topic);
  if (value === null || value === undefined) return null;
  const { topic } = context;
  let bytes: Uint8Array | null;
  try {
    bytes = serializer.serialize(value, context);
  } catch (error) {
    if (error instanceof KafkaError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new SerializationError(`the ${part} cannot be serialized: ${reason}`, { topic, cause: error });
  }
  if (bytes === null || bytes instanceof Uint8Array) return bytes;
  const got = (bytes as unknown) instanceof Promise ? 'a promise' : `a ${typeof bytes}`;
  throw new SerializationError(`the serializer of the ${part} returned ${got}, not bytes`, { topic });
}

/** Without a serializer: bytes as they are, text as UTF-8. */
function plain(part: string, value: unknown, topic: string): Uint8Array | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof Uint8Array) return value;
  const wanted = `${part} must be text or bytes, or needs a serializer`;
  throw new SerializationError(`${typeof value === 'object' ? 'an' : 'a'} ${typeof value} as ${wanted}`, { topic });
}

function headerList(headers: HeadersInput | undefined): [name: string, value: Uint8Array | string | null][] {
  if (headers === undefined) return [];
  if (isList(headers)) return headers.map(([name, value]) => [name, value]);
  return Object.entries(headers);
}

function encodeHeaders(headers: HeadersInput, topic: string): HeaderEntry[] {
  const entries = isList(headers) ? headers : Object.entries(headers);
  return entries.map((entry) => {
    if (!Array.isArray(entry) || typeof entry[0] !== 'string') {
      throw noHeadersError(topic);
    }
    const [name, value] = entry;
    return [name, plain(`value of the header '${name}'`, value, topic)];
  });
}

function isList(headers: HeadersInput): headers is Exclude<HeadersInput, Readonly<Record<string, unknown>>> {
  return Array.isArray(headers);
}

function noHeadersError(topic: string): SerializationError {
  return new SerializationError('headers are a list of [name, value] pairs or an object', { topic });
}
