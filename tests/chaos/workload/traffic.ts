/**
 * The clients of one run, as a process of its own: `node traffic.ts`, spoken to over the IPC channel. It writes the history to a file, line
 * by line.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { Client, type Consumer, type KafkaError, type Producer } from '@naru/client';
import { delay, monotonicMs } from '../cluster/monotonic.ts';
import type { HistoryLine } from './history.ts';
import { decodeValue, encodeValue } from './value.ts';
import type { Workload } from './workloads.ts';

export interface TrafficOptions {
  readonly servers: string;
  readonly topic: string;
  readonly workload: Workload;
  readonly historyFile: string;
}

export type TrafficRequest =
  | { readonly id: number; readonly command: 'start'; readonly options: TrafficOptions }
  /** Ends the sending; answered when every send has its outcome. */
  | { readonly id: number; readonly command: 'stop-producers' }
  /** Waits until the consumers have polled everything that is there; answered with the number of acknowledged records they have not seen. */
  | { readonly id: number; readonly command: 'catch-up'; readonly timeoutMs: number }
  /** Reads everything from the beginning. */
  | { readonly id: number; readonly command: 'final-read'; readonly timeoutMs: number }
  | { readonly id: number; readonly command: 'acked' };

export type TrafficAnswer =
  | { readonly id: number; readonly ok: true; readonly value: number }
  | { readonly id: number; readonly ok: false; readonly message: string };

const tickMs = 10;
/** Sends of one producer that may wait for their outcome: beyond it a slow cluster is not flooded. */
const openSendsMax = 3_000;
const deliveryTimeoutMs = 15_000;
const listEveryMs = 250;

class Traffic {
  readonly #options: TrafficOptions;
  readonly #client: Client;
  readonly #file: number;
  readonly #lines: string[] = [];
  readonly #ackedEnd = new Map<number, number>();
  readonly #polledEnd: Map<number, number>[] = [];
  #acked = 0;
  #stopping = false;
  #closing = false;
  #producers: Promise<void>[] = [];
  #readers: Promise<void>[] = [];

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#client = new Client({
      'bootstrap.servers': options.servers,
      'request.timeout.ms': 5_000,
      'reconnect.backoff.max.ms': 200,
      'retry.backoff.max.ms': 200,
    });
    this.#file = openSync(options.historyFile, 'w');
  }

  get acked(): number {
    return this.#acked;
  }

  start(): void {
    const { workload } = this.#options;
    const { acks, idempotence: isIdempotent, partitions } = workload;
    this.#write({ kind: 'start', acks, isIdempotent, partitions });
    for (let n = 0; n < workload.producers; n++) this.#producers.push(this.#produce(n));
    for (let n = 0; n < workload.consumers; n++) this.#readers.push(this.#consume(n));
    this.#readers.push(this.#listEnds());
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
        this.#closing = true;
        await Promise.race([Promise.all(this.#readers), delay(5_000)]);
        return unseen;
      }
      await delay(50);
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
    this.#closing = true;
    await Promise.race([this.#client.close({ timeoutMs: 0 }), delay(3_000)]);
    this.#flushNow();
    closeSync(this.#file);
  }

  async #produce(producerNumber: number): Promise<void> {
    const { workload } = this.#options;
    const producer = this.#client.producer({
      acks: workload.acks,
      'enable.idempotence': workload.idempotence,
      'linger.ms': 2,
      'compression.type': workload.compression,
      'delivery.timeout.ms': deliveryTimeoutMs,
      'max.block.ms': 10_000,
    });
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
    await producer.close({ timeoutMs: 0 });
  }

  #send(producer: Producer, producerNumber: number, sequence: number, open: { count: number }): void {
    const { topic, workload } = this.#options;
    const partition = (sequence + producerNumber) % workload.partitions;
    const value = encodeValue({ producer: producerNumber, sequence }, workload.valueBytes);
    const invokedMs = monotonicMs();
    open.count++;
    producer.send({ topic, partition, value }, (error, metadata) => {
      open.count--;
      const offset = metadata === undefined ? -1 : Number(metadata.offset);
      if (error === null) {
        this.#acked++;
        if (offset >= (this.#ackedEnd.get(partition) ?? 0)) this.#ackedEnd.set(partition, offset + 1);
      }
      this.#write({
        kind: 'send',
        producer: producerNumber,
        sequence,
        partition,
        invokedMs,
        endedMs: monotonicMs(),
        outcome: outcomeOf(error),
        offset,
        error: error === null ? undefined : `${error.name}: ${error.message}`,
      });
    });
  }

  async #consume(reader: number): Promise<void> {
    const { topic, workload } = this.#options;
    const ends = new Map<number, number>();
    this.#polledEnd.push(ends);
    const consumer: Consumer = this.#client.consumer({ 'auto.offset.reset': 'earliest', 'fetch.max.wait.ms': 200 });
    consumer.assign(Array.from({ length: workload.partitions }, (_, partition) => ({ topic, partition })));
    while (!this.#closing) {
      try {
        for (const record of await consumer.poll(300)) {
          const offset = Number(record.offset);
          ends.set(record.partition, offset + 1);
          this.#record('poll', reader, record.partition, offset, record.value);
        }
      } catch (error) {
        process.stderr.write(`consumer ${reader}: ${(error as Error).name}: ${(error as Error).message}\n`);
        await delay(200);
      }
    }
    await consumer.close();
  }

  async #listEnds(): Promise<void> {
    const { topic, workload } = this.#options;
    const admin = this.#client.admin({ 'default.api.timeout.ms': 3_000 });
    for (let n = 0; !this.#closing; n++) {
      const partition = n % workload.partitions;
      const invokedMs = monotonicMs();
      try {
        const [listed] = await admin.listOffsets([{ topic, partition, spec: 'latest' }]);
        const offset = Number(listed?.offset ?? -1n);
        if (offset >= 0) this.#write({ kind: 'end', partition, offset, invokedMs, endedMs: monotonicMs() });
      } catch {
        // No answer during a fault tells nothing.
      }
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
    while (!this.#closing) {
      this.#flushNow();
      await delay(200);
    }
  }

  #flushNow(): void {
    if (this.#lines.length > 0) writeSync(this.#file, `${this.#lines.splice(0).join('\n')}\n`);
  }
}

function outcomeOf(error: KafkaError | null): 'acked' | 'failed' | 'unknown' {
  if (error === null) return 'acked';
  return error.outcome === 'definite' ? 'failed' : 'unknown';
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
