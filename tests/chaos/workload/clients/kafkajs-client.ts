import { createRequire } from 'node:module';
import { delay } from '../../cluster/monotonic.ts';
import type { OnRecord, OnSent, TestedClient, TestedClientOptions, TestedProducer } from './tested-client.ts';

/** What is used of KafkaJS 2; it is installed outside the project. */
interface KafkaJs {
  readonly Kafka: new (
    options: object,
  ) => { producer(options: object): KafkaJsProducer; consumer(options: object): KafkaJsConsumer };
  readonly logLevel: { readonly NOTHING: number };
}

interface KafkaJsProducer {
  connect(): Promise<void>;
  send(request: {
    topic: string;
    acks: number;
    timeout: number;
    messages: { partition: number; value: string }[];
  }): Promise<{ partition: number; baseOffset: string }[]>;
  disconnect(): Promise<void>;
}

interface KafkaJsMessage {
  readonly offset: string;
  readonly value: Buffer | null;
}

interface KafkaJsConsumer {
  connect(): Promise<void>;
  subscribe(request: { topic: string; fromBeginning: boolean }): Promise<void>;
  run(request: {
    eachBatch(payload: { batch: { partition: number; messages: KafkaJsMessage[] } }): Promise<void>;
  }): Promise<void>;
  on(event: string, listener: () => void): void;
  disconnect(): Promise<void>;
}

interface QueuedSend {
  readonly partition: number;
  readonly value: string;
  readonly done: OnSent;
}

const requestTimeoutMs = 2_000;
const batchRecordsMax = 500;

/**
 * KafkaJS, which batches nothing by itself and reads in groups only: a producer sends what has gathered since its last request, one request
 * at a time, and every reader is the only member of a group of its own.
 */
export class KafkaJsClient implements TestedClient {
  readonly #options: TestedClientOptions;
  readonly #kafka: InstanceType<KafkaJs['Kafka']>;

  /** `modules`: the directory in which kafkajs is installed. */
  constructor(options: TestedClientOptions, modules: string) {
    this.#options = options;
    const { Kafka, logLevel } = createRequire(`${modules}/`)('kafkajs') as KafkaJs;
    this.#kafka = new Kafka({
      clientId: 'chaos',
      brokers: options.servers.split(','),
      logLevel: logLevel.NOTHING,
      connectionTimeout: 1_000,
      requestTimeout: requestTimeoutMs,
      retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 20 },
    });
  }

  async producer(): Promise<TestedProducer> {
    const { topic, acks, idempotence } = this.#options;
    const producer = this.#kafka.producer({ idempotent: idempotence, maxInFlightRequests: 1, metadataMaxAge: 5_000 });
    await producer.connect();
    const queue: QueuedSend[] = [];
    let sending: Promise<void> | undefined;
    // One partition a request: of a request whose parts need different numbers of attempts, KafkaJS forgets answers.
    const sendPartition = async (sends: readonly QueuedSend[]): Promise<void> => {
      const messages = sends.map(({ partition, value }) => ({ partition, value }));
      const request = { topic, acks: acks === 'all' ? -1 : 1, timeout: requestTimeoutMs, messages };
      try {
        const [answer] = await producer.send(request);
        settle(sends, Number(answer?.baseOffset ?? -1));
      } catch (error) {
        // It does not say which of its attempts may have been appended.
        for (const { done } of sends) done('unknown', -1, String(error));
      }
    };
    const sendAll = async (): Promise<void> => {
      while (queue.length > 0) {
        const sends = queue.splice(0, batchRecordsMax);
        await Promise.all([...Map.groupBy(sends, (one) => one.partition).values()].map(sendPartition));
      }
      sending = undefined;
    };
    return {
      send: (partition, value, done) => {
        queue.push({ partition, value, done });
        sending ??= Promise.resolve().then(sendAll);
      },
      close: async () => {
        await sending;
        await producer.disconnect();
      },
    };
  }

  async read(reader: number, onRecord: OnRecord, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const consumer = this.#kafka.consumer({
        groupId: `reader-${reader}`,
        sessionTimeout: 6_000,
        heartbeatInterval: 500,
        rebalanceTimeout: 6_000,
        maxWaitTimeInMs: 200,
        metadataMaxAge: 5_000,
      });
      const ended = new Promise<void>((resolve) => {
        consumer.on('consumer.crash', resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      try {
        await consumer.connect();
        await consumer.subscribe({ topic: this.#options.topic, fromBeginning: true });
        await consumer.run({
          eachBatch: async ({ batch }) => {
            for (const { offset, value } of batch.messages) onRecord(batch.partition, Number(offset), value);
          },
        });
        await ended;
      } catch (error) {
        process.stderr.write(`consumer ${reader}: ${String(error)}\n`);
        await delay(200);
      }
      await Promise.race([consumer.disconnect().catch(() => {}), delay(2_000)]);
    }
  }

  async close(): Promise<void> {}
}

/** The messages follow each other from the base offset on. */
function settle(sends: readonly QueuedSend[], baseOffset: number): void {
  for (const [i, { done }] of sends.entries()) {
    if (baseOffset < 0) done('unknown', -1, 'no base offset in the answer');
    else done('acked', baseOffset + i, undefined);
  }
}
