import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../tests/conformance/processes.ts';
import type { Figure } from '../report.ts';

/** A way to produce or to consume: records a second, or undefined when the tool is not here. */
type Tool = (run: Run) => Promise<number | undefined>;

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

const producers: Readonly<Record<string, Tool>> = { Java: javaProducer, rdkafka_performance: rdkafka, kcat };
const consumers: Readonly<Record<string, Tool>> = { Java: javaConsumer, kcat: kcatConsumer };

/** Megabytes a second of each foreign producer that is on this machine; none that is not. */
export async function foreignProducers(run: Run): Promise<Figure[]> {
  return figuresOf('producer', producers, run);
}

/** The same of consumers, who find at least as many records in the topic. */
export async function foreignConsumers(run: Run): Promise<Figure[]> {
  return figuresOf('consumer', consumers, run);
}

async function figuresOf(kind: string, tools: Readonly<Record<string, Tool>>, run: Run): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, tool] of Object.entries(tools)) {
    const perSecond = await tool(run);
    if (perSecond === undefined) continue;
    figures.push({ name: `${name} ${kind}: ${run.name}`, value: (perSecond * recordBytes) / 1e6, unit: 'MB/s' });
  }
  return figures;
}

async function javaProducer({ servers, topic, acks, records }: Run): Promise<number | undefined> {
  const settings = [`bootstrap.servers=${servers}`, `acks=${acks}`, 'batch.size=131072', 'linger.ms=5'];
  const argv = ['--topic', topic, '--num-records', String(records), '--record-size', String(recordBytes)];
  const stdout = await java('ProducerPerformance', [...argv, '--throughput', '-1', '--producer-props', ...settings]);
  return lastNumber(stdout, /([\d.]+) records\/sec/g);
}

/** Without the time that it takes to join its group. */
async function javaConsumer({ servers, topic, records }: Run): Promise<number | undefined> {
  const argv = ['--bootstrap-server', servers, '--topic', topic, '--messages', String(records), '--timeout', '60000'];
  return lastNumber(await java('ConsumerPerformance', argv), /, ([\d.]+)$/gm);
}

/** Empty when Java or the jars are not here. */
async function java(tool: string, argv: readonly string[]): Promise<string> {
  if (!existsSync(jars)) return '';
  const classPath = ['-cp', join(jars, '*')];
  return (await run('java', [...classPath, `org.apache.kafka.tools.${tool}`, ...argv], { timeoutMs })).stdout;
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

async function kcatConsumer({ servers, topic, records }: Run): Promise<number | undefined> {
  const argv = ['-C', '-b', servers, '-t', topic, '-o', 'beginning', '-c', String(records), '-q', '-f', ''];
  const began = performance.now();
  const { status } = await run('kcat', argv, { timeoutMs });
  return status === 0 ? (records * 1_000) / (performance.now() - began) : undefined;
}

function lastNumber(text: string, pattern: RegExp): number | undefined {
  const found = [...text.matchAll(pattern)].at(-1)?.[1];
  return found === undefined ? undefined : Number(found);
}
