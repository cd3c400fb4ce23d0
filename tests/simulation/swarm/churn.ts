import { type Client, KafkaError } from '@naru/client';
import { sleep } from '@naru/runtime';
import type { AdminFaults } from './fault-actions.ts';
import { require } from './violation.ts';
import type { World } from './world.ts';

export const churnTopic = 'churn';

/**
 * A topic that is deleted and created again under load, and grows (row 18). Its records carry the incarnation for which they were written; what was
 * acknowledged before a deletion was asked for must never be read after the next creation.
 */
export class Churn implements AdminFaults {
  readonly #world: World;
  readonly #client: Client;
  /** Acknowledged in an incarnation that is to be deleted. */
  readonly #buried = new Set<string>();
  #living: string[] = [];
  #generation = 0;
  #partitions = 1;
  #isBusy = false;
  #isRunning = true;
  failure: unknown;

  constructor(world: World, client: Client) {
    this.#world = world;
    this.#client = client;
  }

  start(): void {
    const fail = (error: unknown): void => {
      this.failure ??= error;
    };
    this.#create()
      .then(() => this.#produce(), fail)
      .catch(fail);
  }

  stop(): void {
    this.#isRunning = false;
  }

  recreateTopic(): void {
    void this.#alone(async (admin) => {
      for (const value of this.#living) this.#buried.add(value);
      this.#living = [];
      this.#generation++;
      await this.#until(async () => {
        const [outcome] = await admin.deleteTopics([churnTopic]);
        return outcome?.error === undefined || outcome.error.code === 3;
      });
      this.#partitions = 1;
      await this.#create();
    });
  }

  addPartition(): void {
    void this.#alone(async (admin) => {
      await admin.createPartitions([{ topic: churnTopic, count: ++this.#partitions }]);
    });
  }

  /** Row 18, once everything has healed. */
  async check(): Promise<void> {
    const consumer = this.#client.consumer({ 'auto.offset.reset': 'earliest' });
    const assigned = [{ topic: churnTopic, partition: 0 }];
    consumer.assign(assigned);
    const [end] = await consumer.endOffsets(assigned);
    while ((await consumer.position(assigned[0] as { topic: string; partition: number })) < (end?.offset ?? 0n)) {
      for (const { value, offset } of await consumer.poll(1_000)) {
        const text = value?.toString() ?? '';
        require(!this.#buried.has(text), 'R7', () => `${text} at ${offset} is of a topic that was deleted (row 18)`);
      }
    }
    await consumer.close();
  }

  async #alone(work: (admin: ReturnType<Client['admin']>) => Promise<void>): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    const admin = this.#client.admin({ 'default.api.timeout.ms': 3_000, 'request.timeout.ms': 1_000 });
    try {
      await work(admin);
    } catch (error) {
      if (!(error instanceof KafkaError)) this.failure ??= error;
    } finally {
      this.#isBusy = false;
      await admin.close();
    }
  }

  async #create(): Promise<void> {
    const admin = this.#client.admin({ 'default.api.timeout.ms': 3_000, 'request.timeout.ms': 1_000 });
    await this.#until(async () => {
      const [outcome] = await admin.createTopics([{ name: churnTopic, partitions: 1, replicationFactor: 2 }]);
      return outcome?.error === undefined || outcome.error.code === 36;
    });
    await admin.close();
  }

  async #until(attempt: () => Promise<boolean>): Promise<void> {
    while (this.#isRunning) {
      const isDone = await attempt().catch((error: unknown) => {
        if (!(error instanceof KafkaError)) throw error;
        return false;
      });
      if (isDone) return;
      await sleep(this.#world.node('admin').runtime.timers, 200);
    }
  }

  async #produce(): Promise<void> {
    const producer = this.#client.producer({
      'delivery.timeout.ms': 4_000,
      'request.timeout.ms': 1_000,
      'max.block.ms': 4_000,
    });
    for (let number = 0; this.#isRunning; number++) {
      const generation = this.#generation;
      const value = `${generation}/${number}`;
      producer.send({ topic: churnTopic, partition: 0, value }, (error) => {
        if (error === null && generation === this.#generation) this.#living.push(value);
      });
      await sleep(this.#world.node('admin').runtime.timers, 50);
    }
    await producer.close({ timeoutMs: 0 });
  }
}
