import { type Client, KafkaError } from '@naru/client';
import { sleep } from '@naru/runtime';
import type { CompactionChecker } from '../checkers/compaction.ts';
import type { PartitionTruth } from '../checkers/truth.ts';
import { require } from './violation.ts';
import type { World } from './world.ts';

const topic = 'table';
const keysCount = 12;
/** Short, so that a run cleans many times. */
const configs = {
  'cleanup.policy': 'compact',
  'segment.ms': 400,
  'min.cleanable.dirty.ratio': 0.1,
  'delete.retention.ms': 3_000,
  'file.delete.delay.ms': 200,
};

/** A compacted topic under load: keys that get values and tombstones. Its end is a table that everybody who reads it sees in the same way. */
export class Table {
  readonly #world: World;
  readonly #client: Client;
  #isRunning = true;
  failure: unknown;

  constructor(world: World, client: Client) {
    this.#world = world;
    this.#client = client;
  }

  start(): void {
    this.#produce().catch((error: unknown) => {
      this.failure ??= error;
    });
  }

  stop(): void {
    this.#isRunning = false;
  }

  /** C8, L9 as a client sees them, once everything has healed: what is read was committed there, and makes the table of all that was committed. */
  async check(truth: PartitionTruth, checker: CompactionChecker): Promise<void> {
    const consumer = this.#client.consumer({ 'auto.offset.reset': 'earliest' });
    const place = { topic, partition: 0 };
    consumer.assign([place]);
    const table = new Map<string, string>();
    // What was under way when the sending stopped may be committed while this reads.
    while (Number(await consumer.position(place)) < truth.highWatermark) {
      for (const { key, value, offset } of await consumer.poll(1_000)) {
        require(checker.isAt(truth, Number(offset), key, value), 'C3', () =>
          `${key} at ${offset} of ${topic} is not what was committed there`);
        if (value === null) table.delete(String(key));
        else table.set(String(key), String(value));
      }
    }
    const [seen, expected] = [asText(table), asText(checker.tableOf(truth))];
    require(seen === expected, 'L9', () => `${topic} reads as ${seen}, committed is ${expected}`);
    await consumer.close();
  }

  async #produce(): Promise<void> {
    const { timers, random } = this.#world.node('admin').runtime;
    const admin = this.#client.admin({ 'default.api.timeout.ms': 3_000, 'request.timeout.ms': 1_000 });
    while (this.#isRunning) {
      const [outcome] = await admin
        .createTopics([{ name: topic, partitions: 1, replicationFactor: 3, configs }])
        .catch(ofKafka);
      if (outcome !== undefined && (outcome.error === undefined || outcome.error.code === 36)) break;
      await sleep(timers, 200);
    }
    await admin.close();
    const producer = this.#client.producer({ 'delivery.timeout.ms': 6_000, 'request.timeout.ms': 1_000 });
    for (let number = 0; this.#isRunning; number++) {
      const value = random.nextFloat() < 0.15 ? null : `${number}`;
      producer.send({ topic, key: `k${number % keysCount}`, value }, () => {});
      await sleep(timers, 15 + 30 * random.nextFloat());
    }
    await producer.close({ timeoutMs: 0 });
  }
}

function asText(table: ReadonlyMap<string, string>): string {
  return JSON.stringify([...table].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function ofKafka(error: unknown): [] {
  if (!(error instanceof KafkaError)) throw error;
  return [];
}
