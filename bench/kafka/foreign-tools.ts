import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../tests/conformance/processes.ts';
import type { Figure } from '../report.ts';

const recordBytes = 1_024;
const timeoutMs = 180_000;
/** Where `npm run test:conformance` has put Apache Kafka's jars, or `libs` of its distribution. */
const cache = process.env.NARU_CONFORMANCE_CACHE ?? join(tmpdir(), 'naru-conformance');
const jars = process.env.KAFKA_JARS ?? join(cache, 'java', '4.1.0');

export interface Run {
  readonly servers: string;
  readonly topic: string;
  readonly acks: string;
  readonly records: number;
  /** What the figure is called after the tool. */
  readonly name: string;
}

/** Megabytes a second of each foreign tool that is on this machine; none that is not. */
export async function foreignTools(one: Run): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, tool] of Object.entries({ 'Java producer': javaProducer, rdkafka_performance: rdkafka, kcat })) {
    const perSecond = await tool(one);
    if (perSecond === undefined) continue;
    figures.push({ name: `${name}: ${one.name}`, value: (perSecond * recordBytes) / 1e6, unit: 'MB/s' });
  }
  return figures;
}

async function javaProducer({ servers, topic, acks, records }: Run): Promise<number | undefined> {
  if (!existsSync(join(jars, 'kafka-tools-4.1.0.jar')) && process.env.KAFKA_JARS === undefined) return undefined;
  const settings = [`bootstrap.servers=${servers}`, `acks=${acks}`, 'batch.size=131072', 'linger.ms=5'];
  const argv = ['--topic', topic, '--num-records', String(records), '--record-size', String(recordBytes)];
  const tool = ['-cp', join(jars, '*'), 'org.apache.kafka.tools.ProducerPerformance', ...argv];
  const { stdout } = await run('java', [...tool, '--throughput', '-1', '--producer-props', ...settings], { timeoutMs });
  return lastNumber(stdout, /([\d.]+) records\/sec/g);
}

async function rdkafka({ servers, topic, acks, records }: Run): Promise<number | undefined> {
  const settings = ['-X', `acks=${acks}`, '-X', 'linger.ms=5'];
  const argv = ['-P', '-b', servers, '-t', topic, '-s', String(recordBytes), '-c', String(records), ...settings];
  const { stdout, stderr } = await run('rdkafka_performance', argv, { timeoutMs });
  return lastNumber(stdout + stderr, /([\d.]+) msgs\/s/g);
}

async function kcat({ servers, topic, acks, records }: Run): Promise<number | undefined> {
  if ((await run('kcat', ['-V'])).status !== 0) return undefined;
  const input = `${'x'.repeat(recordBytes - 1)}\n`.repeat(records);
  const began = performance.now();
  const argv = ['-P', '-b', servers, '-t', topic, '-X', `acks=${acks}`, '-X', 'linger.ms=5'];
  const { status } = await run('kcat', argv, { input, timeoutMs });
  return status === 0 ? (records * 1_000) / (performance.now() - began) : undefined;
}

function lastNumber(text: string, pattern: RegExp): number | undefined {
  const found = [...text.matchAll(pattern)].at(-1)?.[1];
  return found === undefined ? undefined : Number(found);
}
