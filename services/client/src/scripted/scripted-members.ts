import { encodeBatch } from '@naru/record';
import type { ConsumerOptions } from '../client.ts';
import type { Consumer } from '../consumer/consumer.ts';
import type { ConsumerRecord } from '../consumer/consumer-record.ts';
import type { RebalanceListener } from '../consumer/groups/group-host.ts';
import { WakeupError } from '../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';
import { ScriptedCluster } from './scripted-cluster.ts';
import { ScriptedGroups } from './scripted-groups.ts';
import type { ScriptedLog } from './scripted-log.ts';

export type Options = ConsumerOptions<Buffer, Buffer>;

export async function setUp(partitions = 4, brokers = 2) {
  const groups = new ScriptedGroups();
  const cluster = await ScriptedCluster.start(brokers, 1, (id) => groups.services(id));
  groups.attach(cluster.simulation);
  const logs = cluster.addTopic('t', partitions);
  const consumer = (options: Options = {}): Consumer =>
    cluster.client().consumer({ groupId: 'g', autoOffsetReset: 'earliest', ...options });
  return { cluster, groups, logs, consumer };
}

export function fill(log: ScriptedLog, count: number): void {
  const records = Array.from({ length: count }, (_, i) => ({
    key: Buffer.from(`k${i % 3}`),
    value: Buffer.from(`p${log.partition}v${log.endOffset + i}`),
    timestampMs: 1_000 + i,
  }));
  log.append(encodeBatch({ compression: 'none', records }));
}

export const textOf = (record: ConsumerRecord): string => (record.value as Buffer).toString();
export const numbersOf = (list: readonly TopicPartition[]): number[] => list.map(({ partition }) => partition).sort();

/** Polls on and on, as an application does; keeps what came, and what the listener was told. */
export class Member {
  readonly consumer: Consumer;
  readonly read: ConsumerRecord[] = [];
  readonly events: string[] = [];
  error: unknown;
  isStopped = false;
  done: Promise<void> = Promise.resolve();

  constructor(consumer: Consumer, listener: RebalanceListener = {}) {
    this.consumer = consumer;
    const note = (what: string) => (list: readonly TopicPartition[]) => {
      this.events.push(`${what} ${numbersOf(list).join()}`);
    };
    consumer.subscribe(['t'], {
      onPartitionsAssigned: note('assigned'),
      onPartitionsRevoked: note('revoked'),
      onPartitionsLost: note('lost'),
      ...listener,
    });
  }

  start(pollMs = 200, work: () => Promise<void> = async () => {}): this {
    this.done = this.#poll(pollMs, work).catch((error: unknown) => {
      this.error = error;
    });
    return this;
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.consumer.wakeup();
    await this.done;
    await this.consumer.close();
  }

  get partitions(): number[] {
    return numbersOf(this.consumer.assignment());
  }

  async #poll(pollMs: number, work: () => Promise<void>): Promise<void> {
    while (!this.isStopped) {
      const records = await this.consumer.poll(pollMs).catch((error: unknown) => {
        if (error instanceof WakeupError) return [];
        throw error;
      });
      this.read.push(...records);
      await work();
    }
  }
}

export const until = (cluster: ScriptedCluster, isTrue: () => boolean, limitMs = 20_000): Promise<void> =>
  cluster.simulation.runUntil(isTrue, limitMs);
