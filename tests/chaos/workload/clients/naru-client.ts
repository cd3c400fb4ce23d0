import { Client, type KafkaError, type Producer } from '@naru/client';
import { delay } from '../../cluster/monotonic.ts';
import {
  deliveryTimeoutMs,
  type OnRecord,
  type OnSent,
  type TestedClient,
  type TestedClientOptions,
  type TestedProducer,
} from './tested-client.ts';

/** Our own SDK. */
export class NaruClient implements TestedClient {
  readonly #options: TestedClientOptions;
  readonly #client: Client;

  constructor(options: TestedClientOptions) {
    this.#options = options;
    this.#client = new Client({
      'bootstrap.servers': options.servers,
      'request.timeout.ms': 5_000,
      'reconnect.backoff.max.ms': 200,
      'retry.backoff.max.ms': 200,
    });
  }

  async producer(): Promise<TestedProducer> {
    const { topic, acks, idempotence, compression } = this.#options;
    const producer = this.#client.producer({
      acks,
      'enable.idempotence': idempotence,
      'linger.ms': 2,
      'compression.type': compression,
      'delivery.timeout.ms': deliveryTimeoutMs,
      'max.block.ms': 10_000,
    });
    return { send: (...args) => send(producer, topic, ...args), close: () => producer.close({ timeoutMs: 0 }) };
  }

  async read(reader: number, onRecord: OnRecord, signal: AbortSignal): Promise<void> {
    const { topic, partitions } = this.#options;
    const consumer = this.#client.consumer({ 'auto.offset.reset': 'earliest', 'fetch.max.wait.ms': 200 });
    consumer.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition })));
    while (!signal.aborted) {
      try {
        for (const { partition, offset, value } of await consumer.poll(300)) {
          onRecord(partition, Number(offset), value);
        }
      } catch (error) {
        process.stderr.write(`consumer ${reader}: ${(error as Error).name}: ${(error as Error).message}\n`);
        await delay(200);
      }
    }
    await consumer.close();
  }

  async close(): Promise<void> {
    await this.#client.close({ timeoutMs: 0 });
  }
}

function send(producer: Producer, topic: string, partition: number, value: string, done: OnSent): void {
  producer.send({ topic, partition, value }, (error: KafkaError | null, metadata) => {
    if (error === null) done('acked', Number(metadata?.offset), undefined);
    else done(error.outcome === 'definite' ? 'failed' : 'unknown', -1, `${error.name}: ${error.message}`);
  });
}
