// What one application does with the SDK: run in a process of its own by `worker.ts`.
import { setTimeout as delay } from 'node:timers/promises';
import type { Client, Producer, RecordMetadata } from '@naru/client';
import { partitionsOf } from './described.ts';
import type { Throughput } from './worker.ts';

/** With the client's own processor time, which says more than the clock while other programs are running. */
export interface MeasuredThroughput extends Throughput {
  readonly cpuSeconds: number;
}

function stopwatch(): () => { readonly seconds: number; readonly cpuSeconds: number } {
  const [began, before] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { seconds: (performance.now() - began) / 1_000, cpuSeconds: (user + system) / 1e6 };
  };
}

type Settings = Readonly<Record<string, string | number | boolean>>;

export interface SendAwaited {
  readonly kind: 'send-awaited';
  readonly topic: string;
  readonly records: number;
  readonly recordBytes: number;
  readonly inFlight: number;
  readonly settings: Settings;
}

/** So many loops that each send a record and wait for it. */
export async function sendAwaited(client: Client, workload: SendAwaited): Promise<MeasuredThroughput> {
  const { topic, records, recordBytes, inFlight } = workload;
  const producer = client.producer(workload.settings);
  const value = Buffer.alloc(recordBytes, 'x');
  await producer.send({ topic, value });
  let left = records;
  const loop = async (): Promise<void> => {
    while (left-- > 0) await producer.send({ topic, value });
  };
  const elapsed = stopwatch();
  await Promise.all(Array.from({ length: inFlight }, loop));
  const time = elapsed();
  await producer.close();
  return { records, bytes: records * recordBytes, ...time };
}

export interface SendEach {
  readonly kind: 'send-each';
  readonly topic: string;
  readonly records: number;
  readonly recordBytes: number;
  readonly settings: Settings;
}

/** A promise for each record, none of them waited for before the end. */
export async function sendEach(client: Client, workload: SendEach): Promise<MeasuredThroughput> {
  const { topic, records, recordBytes } = workload;
  const producer = client.producer(workload.settings);
  const value = Buffer.alloc(recordBytes, 'x');
  await producer.send({ topic, value });
  const elapsed = stopwatch();
  const sent: Promise<RecordMetadata>[] = [];
  for (let i = 0; i < records; i++) {
    sent.push(producer.send({ topic, value }));
    // An application does other things in between, too; requests leave and answers come in at such moments.
    if (i % 1_000 === 999) await hasRoom(producer);
  }
  await Promise.all(sent);
  const time = elapsed();
  await producer.close();
  return { records, bytes: records * recordBytes, ...time };
}

async function hasRoom(producer: Producer): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await producer.ready();
}

export interface ForAwait {
  readonly kind: 'for-await';
  readonly topic: string;
  readonly records: number;
  readonly settings: Settings;
}

export async function forAwait(client: Client, workload: ForAwait): Promise<MeasuredThroughput> {
  const consumer = client.consumer({ 'auto.offset.reset': 'earliest', ...workload.settings });
  const partitions = await partitionsOf(client, workload.topic);
  consumer.assign(partitions.map(({ partition }) => ({ topic: workload.topic, partition })));
  let [records, bytes] = [0, 0];
  const elapsed = stopwatch();
  for await (const record of consumer) {
    bytes += record.value?.length ?? 0;
    if (++records === workload.records) break;
  }
  const time = elapsed();
  await consumer.close();
  return { records, bytes, ...time };
}

export interface Memory {
  readonly kind: 'memory';
  readonly topic: string;
  readonly minutes: number;
  readonly perSecond: number;
  readonly recordBytes: number;
}

export interface MemoryUse {
  readonly records: number;
  /** Bytes in use after a garbage collection, at each tenth of the run; the first is when a fifth of it is over. */
  readonly heap: readonly number[];
  readonly rss: readonly number[];
}

/** Sends at a fixed rate, reads it in a group and commits; looks at its own memory now and then. */
export async function memory(client: Client, workload: Memory): Promise<MemoryUse> {
  const { topic, minutes, perSecond, recordBytes } = workload;
  const producer = client.producer();
  const consumer = client.consumer({ groupId: 'bench-memory', autoOffsetReset: 'earliest' });
  consumer.subscribe([topic]);
  let records = 0;
  const reading = (async () => {
    for await (const _ of consumer) records++;
  })();
  const totalMs = minutes * 60_000;
  const began = performance.now();
  const [heap, rss]: [number[], number[]] = [[], []];
  for (let sent = 0, looks = 2; looks <= 10; ) {
    const elapsedMs = performance.now() - began;
    for (const due = (elapsedMs * perSecond) / 1_000; sent < due; sent++) {
      producer.send({ topic, key: String(sent), value: Buffer.alloc(recordBytes, 'x') }, (error) => {
        if (error !== null) throw error;
      });
    }
    await delay(5);
    if (elapsedMs < (totalMs * looks) / 10) continue;
    looks++;
    globalThis.gc?.();
    const used = process.memoryUsage();
    heap.push(used.heapUsed + used.external);
    rss.push(used.rss);
  }
  await producer.close();
  await consumer.close();
  await reading;
  return { records, heap, rss };
}
