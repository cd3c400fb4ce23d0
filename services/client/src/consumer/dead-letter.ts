import { SerializationError } from '../errors.ts';
import type { Producer } from '../producer/producer.ts';
import type { ConsumerRecord } from './consumer-record.ts';
import type { RecordBytes } from './deserialization.ts';
import { type DeadLetterFunction, describeError } from './record-runner.ts';

/** Writes a record as it was read, with headers that tell where it came from and what was wrong. `bytesOf` has what a deserialized one was made of. */
export function deadLetterWriter<K, V>(
  producer: Producer,
  topic: string,
  bytesOf: (record: ConsumerRecord<K, V>) => RecordBytes | undefined,
): DeadLetterFunction<K, V> {
  return async (record, error) => {
    const { name, message } = describeError(error);
    const origin = Object.entries({
      'dead-letter.topic': record.topic,
      'dead-letter.partition': String(record.partition),
      'dead-letter.offset': String(record.offset),
      'dead-letter.error': name,
      'dead-letter.message': message,
    });
    const { key, value } = bytesOf(record) ?? record;
    await producer.send({
      topic,
      key: writable(key, record),
      value: writable(value, record),
      headers: [...record.headers, ...origin],
    });
  };
}

function writable(
  part: unknown,
  { topic, partition, offset }: ConsumerRecord<unknown, unknown>,
): Uint8Array | string | null {
  if (part === null || typeof part === 'string' || part instanceof Uint8Array) return part;
  const message = `the record at offset ${offset} of ${topic}-${partition} was deserialized and cannot be written as it was; give deadLetter a function`;
  throw new SerializationError(message, { topic, partition });
}
