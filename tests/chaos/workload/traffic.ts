/**
 * The clients of one run, as a process of its own: `node traffic.ts`, spoken to over the IPC channel. It writes the history to a file, line
 * by line.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { Client } from '@naru/client';
import { delay, monotonicMs } from '../cluster/monotonic.ts';
import { JavaClient } from './clients/java-client.ts';
import { KafkaJsClient } from './clients/kafkajs-client.ts';
import { NaruClient } from './clients/naru-client.ts';
import type { TestedClient, TestedClientOptions, TestedProducer } from './clients/tested-client.ts';
import type { HistoryLine } from './history.ts';
import { decodeValue, encodeValue } from './value.ts';
import type { Workload } from './workloads.ts';

export interface TrafficOptions {
  readonly servers: string;
  readonly topic: string;
  readonly workload: Workload;
  readonly historyFile: string;
  /** Where the library of the workload's clients is. */
  readonly library: string;
  /** Whose committed offsets are asked for again and again; undefined: there is no group. */
  readonly groupId: string | undefined;
}

export type TrafficRequest =
  | { readonly id: number; readonly command: 'start'; readonly options: TrafficOptions }
  /** Ends the sending; answered when every send has its outcome. */
  | { readonly id: number; readonly command: 'stop-producers' }
  /** Waits until the consumers have polled everything that is there; answered with the number of acknowledged records they have not seen. */
  | { readonly id: number; readonly command: 'catch-up'; readonly timeoutMs: number }
  /** Reads everything from the beginning. */
  | { readonly id: number; readonly command: 'final-read'; readonly timeoutMs: number }
  /** Waits until the group has committed everything that is there; answered with the number of records that it has not. */
  | { readonly id: number; readonly command: 'group-catch-up'; readonly timeoutMs: number }
  | { readonly id: number; readonly command: 'acked' };

export type TrafficAnswer =
  | { readonly id: number; readonly ok: true; readonly value: number }
  | { readonly id: number; readonly ok: false; readonly message: string };

const tickMs = 10;
/** Sends of one producer that may wait for their outcome: beyond it a slow cluster is not flooded. */
const openSendsMax = 3_000;
const listEveryMs = 250;

function openClient({ workload, servers, topic, library }: TrafficOptions): TestedClient {
  const options: TestedClientOptions = { ...workload, servers, topic };
  switch (workload.library) {
    case 'naru':
      return new NaruClient(options);
    case 'kafkajs':
      return new KafkaJsClient(options, library);
    case 'java':
      return new JavaClient(options, library);
  }
}

/** What sends and reads is the client that the workload names. What is asked beside it, and the last read of everything, is our own SDK's. */
class Traffic {
  readonly #options: TrafficOptions;
  readonly #tested: TestedClient;
  readonly #client: Client;
  readonly #file: number;
  readonly #lines: string[] = [];
  readonly #ackedEnd = new Map<number, number>();
  readonly #polledEnd: Map<number, number>[] = [];
  #acked = 0;
  #stopping = false;
  readonly #closing = new AbortController();
  #producers: Promise<void>[] = [];
  #readers: Promise<void>[] = [];

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#tested = openClient(options);
    this.#client = new Client({
      'bootstrap.servers': options.servers,
      'request.timeout.ms': 5_000,
      'reconnect.backoff.max.ms': 200,
      'retry.backoff.max.ms': 200,
    });
    this.#file = openSync(options.historyFile, 'w');
  }

  get #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  get acked(): number {
    return this.#acked;
  }

  start(): void {
    const { workload } = this.#options;
    const { acks, idempotence: isIdempotent, partitions } = workload;
    // KafkaJS reads in groups, whose members begin again with what was committed.
    this.#write({ kind: 'start', acks, isIdempotent, partitions, readersGoBack: workload.library === 'kafkajs' });
    for (let n = 0; n < workload.producers; n++) this.#producers.push(this.#produce(n));
    for (let n = 0; n < workload.consumers; n++) this.#readers.push(this.#consume(n));
    this.#readers.push(this.#listOffsets());
    void this.#flushLines();
  }

  async stopProducers(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#producers);
  }

  /** Every consumer gets as far as the last acknowledged record of each partition. */
  async catchUp(timeoutMs: number): Promise<number> {
    const deadline = monotonicMs() + timeoutMs;
    for (;;) {
      const unseen = this.#unseen();
      if (unseen === 0 || monotonicMs() > deadline) {
        this.#closing.abort();
        await Promise.race([Promise.all(this.#readers), delay(5_000)]);
        return unseen;
      }
      await delay(50);
    }
  }

  /** The group commits up to the last acknowledged record of each partition. */
  async groupCatchUp(timeoutMs: number): Promise<number> {
    const { topic, groupId = '' } = this.#options;
    const admin = this.#client.admin({ 'default.api.timeout.ms': 5_000 });
    const partitions = [...this.#ackedEnd.keys()].map((partition) => ({ topic, partition }));
    const deadline = monotonicMs() + timeoutMs;
    for (;;) {
      const committed = await admin.listGroupOffsets(groupId, { partitions }).catch(() => undefined);
      const left = (committed ?? []).map(
        ({ partition, offset }) => (this.#ackedEnd.get(partition) ?? 0) - Number(offset ?? 0n),
      );
      const unseen = left.reduce((sum, count) => sum + Math.max(0, count), 0);
      if (committed !== undefined && unseen === 0) return 0;
      if (monotonicMs() > deadline) return Math.max(1, unseen);
      await delay(100);
    }
  }

  async finalRead(timeoutMs: number): Promise<number> {
    const { topic, workload } = this.#options;
    const partitions = Array.from({ length: workload.partitions }, (_, partition) => ({ topic, partition }));
    const admin = this.#client.admin({ 'default.api.timeout.ms': timeoutMs });
    const ends = await admin.listOffsets(partitions.map((one) => ({ ...one, spec: 'latest' as const })));
    const left = new Map(ends.map(({ partition, offset }) => [partition, Number(offset ?? 0n)]));
    const consumer = this.#client.consumer({ 'auto.offset.reset': 'earliest', 'max.poll.records': 5_000 });
    consumer.assign(partitions.filter(({ partition }) => (left.get(partition) ?? 0) > 0));
    const deadline = monotonicMs() + timeoutMs;
    let count = 0;
    while ([...left.values()].some((end) => end > 0)) {
      if (monotonicMs() > deadline) throw new Error('the final read did not end');
      for (const record of await consumer.poll(1_000)) {
        const offset = Number(record.offset);
        this.#record('final', -1, record.partition, offset, record.value);
        count++;
        if (offset + 1 >= (left.get(record.partition) as number)) left.set(record.partition, 0);
      }
    }
    await consumer.close();
    this.#flushNow();
    return count;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.race([Promise.all([this.#client.close({ timeoutMs: 0 }), this.#tested.close()]), delay(3_000)]);
    this.#flushNow();
    closeSync(this.#file);
  }

  async #produce(producerNumber: number): Promise<void> {
    const { workload } = this.#options;
    const producer = await this.#tested.producer();
    const began = monotonicMs();
    const open = { count: 0 };
    let sequence = 0;
    while (!this.#stopping) {
      const due = ((monotonicMs() - began) / 1_000) * (workload.recordsPerSecond / workload.producers);
      // What an interruption left undone is not made up for: that would be a flood.
      if (due - sequence > openSendsMax) sequence = Math.floor(due - openSendsMax / 2);
      while (sequence < due && open.count < openSendsMax) this.#send(producer, producerNumber, sequence++, open);
      await delay(tickMs);
    }
    while (open.count > 0) await delay(20);
    await producer.close();
  }

  #send(producer: TestedProducer, producerNumber: number, sequence: number, open: { count: number }): void {
    const { workload } = this.#options;
    const partition = (sequence + producerNumber) % workload.partitions;
    const value = encodeValue({ producer: producerNumber, sequence }, workload.valueBytes);
    const invokedMs = monotonicMs();
    open.count++;
    producer.send(partition, value, (outcome, offset, error) => {
      open.count--;
      if (outcome === 'acked') {
        this.#acked++;
        if (offset >= (this.#ackedEnd.get(partition) ?? 0)) this.#ackedEnd.set(partition, offset + 1);
      }
      const send = { producer: producerNumber, sequence, partition, invokedMs, endedMs: monotonicMs() };
      this.#write({ kind: 'send', ...send, outcome, offset, error });
    });
  }

  async #consume(reader: number): Promise<void> {
    const ends = new Map<number, number>();
    this.#polledEnd.push(ends);
    await this.#tested.read(
      reader,
      (partition, offset, value) => {
        ends.set(partition, Math.max(offset + 1, ends.get(partition) ?? 0));
        this.#record('poll', reader, partition, offset, value);
      },
      this.#closing.signal,
    );
  }

  /** Where the partitions end, one after the other, and what the group has committed there. */
  async #listOffsets(): Promise<void> {
    const { topic, workload, groupId } = this.#options;
    const admin = this.#client.admin({ 'default.api.timeout.ms': 3_000 });
    for (let n = 0; !this.#isClosing; n++) {
      const partition = n % workload.partitions;
      const told = async (kind: 'end' | 'committed', ask: () => Promise<bigint | null | undefined>): Promise<void> => {
        const invokedMs = monotonicMs();
        // No answer during a fault tells nothing.
        const offset = Number((await ask().catch(() => undefined)) ?? -1n);
        if (offset >= 0) this.#write({ kind, partition, offset, invokedMs, endedMs: monotonicMs() });
      };
      if (groupId !== undefined) {
        const partitions = [{ topic, partition }];
        await told('committed', async () => (await admin.listGroupOffsets(groupId, { partitions }))[0]?.offset);
      }
      await told('end', async () => (await admin.listOffsets([{ topic, partition, spec: 'latest' }]))[0]?.offset);
      await delay(listEveryMs / 2);
    }
  }

  #unseen(): number {
    let unseen = 0;
    for (const [partition, end] of this.#ackedEnd) {
      unseen += Math.max(0, ...this.#polledEnd.map((ends) => end - (ends.get(partition) ?? 0)));
    }
    return unseen;
  }

  #record(kind: 'poll' | 'final', reader: number, partition: number, offset: number, value: Uint8Array | null): void {
    const { producer, sequence } = decodeValue(value) ?? { producer: -1, sequence: -1 };
    this.#write({ kind, reader, partition, offset, producer, sequence, atMs: monotonicMs() });
  }

  #write(line: HistoryLine): void {
    this.#lines.push(JSON.stringify(line));
  }

  async #flushLines(): Promise<void> {
    while (!this.#isClosing) {
      this.#flushNow();
      await delay(200);
    }
  }

  #flushNow(): void {
    if (this.#lines.length > 0) writeSync(this.#file, `${this.#lines.splice(0).join('\n')}\n`);
  }
}

let traffic: Traffic | undefined;

async function answer(request: TrafficRequest): Promise<number> {
  if (request.command === 'start') {
    traffic = new Traffic(request.options);
    traffic.start();
    return 0;
  }
  if (traffic === undefined) throw new Error('not started');
  switch (request.command) {
    case 'stop-producers':
      await traffic.stopProducers();
      return 0;
    case 'catch-up':
      return traffic.catchUp(request.timeoutMs);
    case 'group-catch-up':
      return traffic.groupCatchUp(request.timeoutMs);
    case 'final-read':
      return traffic.finalRead(request.timeoutMs);
    case 'acked':
      return traffic.acked;
  }
}

process.on('message', (request: TrafficRequest) => {
  answer(request).then(
    (value) => process.send?.({ id: request.id, ok: true, value } satisfies TrafficAnswer),
    (error: Error) => process.send?.({ id: request.id, ok: false, message: error.message } satisfies TrafficAnswer),
  );
});
process.on('disconnect', () => {
  void (traffic?.close() ?? Promise.resolve()).finally(() => process.exit(0));
});
