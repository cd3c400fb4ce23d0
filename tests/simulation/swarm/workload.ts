import { Client, type Consumer, KafkaError, type Producer } from '@naru/client';
import { sleep } from '@naru/runtime';
import type { SeededRandom } from '@naru/runtime/simulated';
import type { History } from './history.ts';
import type { ProducerParameters } from './parameters.ts';
import type { Story } from './story.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/**
 * After so many events a run's producers send at a fraction of their rate: its faults go on, and what more of the same load would show is better looked for
 * in another seed.
 */
const fullLoadEvents = 96_000;
const reducedLoad = 1 / 6;

/** Sends that may be waiting at one producer: beyond it a cluster that is down would only fill memory. */
const openSendsMax = 200;
/** The same in peace: a slow network may take longer for 200 large ones than they have time, so that none would ever be acknowledged. */
const openSendsMaxInPeace = 10;

/** Producers and consumers through the SDK, each on a machine of its own, for as long as the run wants. */
export class Workload {
  readonly #world: World;
  readonly #history: History;
  readonly #story: Story;
  readonly #random: SeededRandom;
  readonly #partitions: readonly TopicPartition[];
  readonly #producers: Producer[] = [];
  readonly #clients: Client[] = [];
  #isSending = true;
  #isPaused = false;
  #openSendsMax = openSendsMax;
  #isReading = true;
  #open = 0;
  /** A background loop that failed although it must not. */
  failure: unknown;

  constructor(world: World, history: History, story: Story) {
    this.#world = world;
    this.#history = history;
    this.#story = story;
    this.#random = world.sim.random.fork('workload');
    this.#partitions = world.parameters.topics.flatMap(({ name, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
    );
  }

  get partitions(): readonly TopicPartition[] {
    return this.#partitions;
  }

  /** Sends without an answer. */
  get openSends(): number {
    return this.#open;
  }

  async createTopics(): Promise<void> {
    const admin = this.client('admin').admin({ 'default.api.timeout.ms': 20_000 });
    for (const topic of this.#world.parameters.topics) await this.#createTopic(admin, topic);
    await admin.close();
  }

  async #createTopic(admin: ReturnType<Client['admin']>, topic: World['parameters']['topics'][number]): Promise<void> {
    for (;;) {
      const [outcome] = await admin.createTopics([
        {
          name: topic.name,
          partitions: topic.partitions,
          replicationFactor: topic.replicas,
          configs: { 'min.insync.replicas': topic.minInSync, 'flush.before.ack': topic.flushBeforeAck },
        },
      ]);
      // An earlier attempt may have created it without our hearing of it; a young cluster has fewer brokers than it will have.
      if (outcome?.error === undefined || outcome.error.code === 36) return;
      this.#story.tell('admin', `${topic.name}: ${outcome.error.message}`);
      await sleep(this.#world.node('admin').runtime.timers, 200);
    }
  }

  start(): void {
    const { parameters } = this.#world;
    for (const [index, producer] of parameters.producers.entries())
      this.#background(this.#produce(index + 1, producer));
    for (let id = 1; id <= parameters.consumers; id++) this.#background(this.#consume(`k${id}`));
    this.#background(this.#watchEnds());
  }

  /** No new sends for now; those under way go on. */
  pauseSending(): void {
    this.#isPaused = true;
  }

  /** After the faults. */
  resumeSending(): void {
    this.#isPaused = false;
    this.#openSendsMax = openSendsMaxInPeace;
  }

  async close(): Promise<void> {
    this.#isSending = false;
    this.#isReading = false;
    await Promise.all(this.#clients.splice(0).map((client) => client.close({ timeoutMs: 0 })));
  }

  client(host: string): Client {
    const client = new Client({
      'bootstrap.servers': this.#world.bootstrapServers,
      runtime: this.#world.node(host).runtime,
    });
    this.#clients.push(client);
    return client;
  }

  #background(loop: Promise<void>): void {
    loop.catch((error: unknown) => {
      this.failure ??= error;
    });
  }

  async #produce(
    id: number,
    { isIdempotent, meanIntervalMs, burst, recordBytesMax, settings }: ProducerParameters,
  ): Promise<void> {
    const { sim } = this.#world;
    const random = this.#random.fork(`producer ${id}`);
    const producer = this.client(`p${id}`).producer({ acks: 'all', 'enable.idempotence': isIdempotent, ...settings });
    this.#producers.push(producer);
    const { timers } = this.#world.node(`p${id}`).runtime;
    let open = 0;
    while (this.#isSending) {
      for (let index = 0; index < burst && open < this.#openSendsMax && !this.#isPaused; index++) {
        const to = this.#partitions[random.nextInt(this.#partitions.length)] as TopicPartition;
        const send = this.#history.begin(id, to.topic, to.partition, random.nextInt(recordBytesMax + 1), sim.nowMs);
        open++;
        this.#open++;
        producer.send({ ...to, value: Buffer.from(send.payload) }, (error, metadata) => {
          open--;
          this.#open--;
          if (error === null) this.#history.acked(send, Number(metadata?.offset), sim.nowMs);
          else this.#history.failed(send, error.outcome === 'definite', error.message, sim.nowMs);
        });
      }
      const load = sim.eventCount < fullLoadEvents ? 1 : reducedLoad;
      await sleep(timers, random.delayMs({ minMs: 0.5, meanMs: (meanIntervalMs * burst) / load }));
    }
  }

  async #consume(host: string): Promise<void> {
    const consumer = this.client(host).consumer({ 'auto.offset.reset': 'earliest', 'request.timeout.ms': 3_000 });
    consumer.assign(this.#partitions);
    while (this.#isReading) await this.poll(consumer, host, 1_000);
  }

  /** Records what was read. What a poll may fail with for a while is tried again. */
  async poll(consumer: Consumer, host: string, timeoutMs: number): Promise<number> {
    try {
      const records = await consumer.poll(timeoutMs);
      for (const { topic, partition, offset, value, leaderEpoch } of records) {
        this.#history.polled({ consumer: host, topic, partition, offset: Number(offset), value, leaderEpoch });
      }
      return records.length;
    } catch (error) {
      if (!this.#isReading) return 0;
      if (!(error instanceof KafkaError)) throw error;
      this.#story.tell(host, `poll: ${error.name} ${error.message}`);
      // Nothing that a consumer has seen may vanish, and nothing is removed by retention here.
      if (/LogTruncation|OffsetOutOfRange|Corrupt/.test(error.name))
        throw new Violation('C8', `${host}: ${error.message}`);
      await sleep(this.#world.node(host).runtime.timers, 50);
      return 0;
    }
  }

  /** Asks for the ends of the logs again and again (C10). */
  async #watchEnds(): Promise<void> {
    const { sim } = this.#world;
    const { timers } = this.#world.node('admin').runtime;
    const consumer = this.client('admin').consumer({ 'default.api.timeout.ms': 2_000, 'request.timeout.ms': 1_000 });
    while (this.#isReading) {
      await sleep(timers, 100 + this.#random.nextInt(300));
      const invokedMs = sim.nowMs;
      try {
        for (const { topic, partition, offset } of await consumer.endOffsets(this.#partitions)) {
          this.#history.latestOffset('admin', topic, partition, Number(offset), invokedMs);
        }
      } catch (error) {
        if (error instanceof Violation || !(error instanceof KafkaError)) throw error;
      }
    }
  }
}
