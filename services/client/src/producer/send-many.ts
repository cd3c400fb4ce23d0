import { type KafkaError, SendManyError } from '../errors.ts';
import type { Producer } from './producer.ts';
import type { ProducerRecord, RecordMetadata } from './producer-record.ts';

/** See `Producer.sendMany`. */
export async function sendMany<K, V>(
  producer: Producer<K, V>,
  records: Iterable<ProducerRecord<K, V>> | AsyncIterable<ProducerRecord<K, V>>,
): Promise<RecordMetadata[]> {
  const produced: (RecordMetadata | undefined)[] = [];
  const failures: { index: number; error: KafkaError }[] = [];
  let sentCount = 0;
  let settledCount = 0;
  let whenSettled: (() => void) | undefined;
  const sendOne = (record: ProducerRecord<K, V>): boolean => {
    const index = sentCount++;
    produced.push(undefined);
    return producer.send(record, (error, metadata) => {
      if (error === null) produced[index] = metadata;
      else failures.push({ index, error });
      if (++settledCount === sentCount) whenSettled?.();
    });
  };
  for await (const record of records) if (!sendOne(record)) await producer.ready(record.topic);
  if (settledCount < sentCount) {
    await new Promise<void>((resolve) => {
      whenSettled = resolve;
    });
  }
  const [first] = failures;
  if (first === undefined) return produced as RecordMetadata[];
  failures.sort((a, b) => a.index - b.index);
  throw new SendManyError(`${failures.length} of ${sentCount} records failed; the first: ${first.error.message}`, {
    cause: first.error,
    outcome: failures.some(({ error }) => error.outcome === 'indefinite') ? 'indefinite' : 'definite',
    produced,
    failures,
  });
}
