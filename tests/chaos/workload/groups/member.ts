/**
 * One member of the group, as a process of its own, so that it can be killed and stopped. It polls, processes, writes down what it processed, and commits:
 * whatever was committed stands in its file, however it ends (G6).
 */
import { openSync, writeSync } from 'node:fs';
import { Client, type Consumer, type TopicPartition } from '@naru/client';
import { delay, monotonicMs } from '../../cluster/monotonic.ts';
import type { MemberEvent } from './group-history.ts';

export interface MemberOptions {
  readonly servers: string;
  readonly topic: string;
  readonly groupId: string;
  readonly strategy: 'range' | 'cooperative-sticky';
  readonly historyFile: string;
}

export type MemberRequest =
  | { readonly id: number; readonly command: 'join'; readonly options: MemberOptions }
  /** Answered when it has left in order. */
  | { readonly id: number; readonly command: 'leave' };

/** What a stopped member's place is kept for; brokers allow no less than 6 s. */
const sessionTimeoutMs = 6_000;
const pollMs = 300;
/** What processing takes at most: time to die between the work and its commit. */
const workMs = 100;

class Member {
  readonly #options: MemberOptions;
  readonly #client: Client;
  readonly #consumer: Consumer;
  readonly #file: number;
  /** Processed, and its commit has not been acknowledged: a rebalance refuses commits, which are repeated after the next poll. */
  readonly #uncommitted = new Map<number, number>();
  #isLeaving = false;
  #done: Promise<void> | undefined;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#client = new Client({
      'bootstrap.servers': options.servers,
      'request.timeout.ms': 5_000,
      'reconnect.backoff.max.ms': 200,
      'retry.backoff.max.ms': 200,
    });
    this.#consumer = this.#client.consumer({
      'group.id': options.groupId,
      'auto.offset.reset': 'earliest',
      'enable.auto.commit': false,
      'session.timeout.ms': sessionTimeoutMs,
      'heartbeat.interval.ms': 500,
      'partition.assignment.strategy': [options.strategy],
      'fetch.max.wait.ms': 200,
    });
    this.#file = openSync(options.historyFile, 'a');
  }

  start(): void {
    const givenUp = (partitions: readonly TopicPartition[], isLost: boolean): void => {
      for (const { partition } of partitions) this.#uncommitted.delete(partition);
      this.#write({ kind: 'given-up', partitions: indexes(partitions), isLost, atMs: monotonicMs() });
    };
    this.#consumer.subscribe([this.#options.topic], {
      onPartitionsAssigned: (partitions) =>
        this.#write({ kind: 'assigned', partitions: indexes(partitions), atMs: monotonicMs() }),
      onPartitionsRevoked: (partitions) => givenUp(partitions, false),
      onPartitionsLost: (partitions) => givenUp(partitions, true),
    });
    this.#done = this.#run();
  }

  async leave(): Promise<void> {
    this.#isLeaving = true;
    await this.#done;
    await this.#consumer.close({ timeoutMs: 3_000 });
    await this.#client.close({ timeoutMs: 0 });
  }

  async #run(): Promise<void> {
    while (!this.#isLeaving) {
      try {
        for (const [partition, offset] of this.#process(await this.#consumer.poll(pollMs))) {
          this.#uncommitted.set(partition, offset);
        }
        if (this.#uncommitted.size === 0) continue;
        await delay(workMs * Math.random());
        await this.#commit();
      } catch (error) {
        process.stderr.write(`${this.#options.historyFile}: ${(error as Error).name}: ${(error as Error).message}\n`);
        await delay(200);
      }
    }
  }

  /** Returns the next offset of each partition. */
  #process(records: Awaited<ReturnType<Consumer['poll']>>): ReadonlyMap<number, number> {
    const runs = new Map<number, { from: number; to: number }>();
    const atMs = monotonicMs();
    const done = (partition: number, run: { from: number; to: number }): void =>
      this.#write({ kind: 'processed', partition, ...run, atMs });
    for (const record of records) {
      const offset = Number(record.offset);
      const run = runs.get(record.partition);
      if (run?.to === offset) {
        run.to++;
        continue;
      }
      if (run !== undefined) done(record.partition, run);
      runs.set(record.partition, { from: offset, to: offset + 1 });
    }
    for (const [partition, run] of runs) done(partition, run);
    return new Map([...runs].map(([partition, { to }]) => [partition, to]));
  }

  async #commit(): Promise<void> {
    const { topic } = this.#options;
    const next = new Map(this.#uncommitted);
    const invokedMs = monotonicMs();
    const offsets = [...next].map(([partition, offset]) => ({ topic, partition, offset: BigInt(offset) }));
    let error: string | undefined;
    try {
      await this.#consumer.commitSync(offsets, { timeoutMs: 10_000 });
      this.#uncommitted.clear();
    } catch (reason) {
      error = `${(reason as Error).name}: ${(reason as Error).message}`;
    }
    const outcome = { isAcked: error === undefined, invokedMs, endedMs: monotonicMs(), error };
    for (const [partition, offset] of next) this.#write({ kind: 'commit', partition, offset, ...outcome });
  }

  /** Straight into the file: a SIGKILL loses nothing of it. */
  #write(event: MemberEvent): void {
    writeSync(this.#file, `${JSON.stringify(event)}\n`);
  }
}

function indexes(partitions: readonly TopicPartition[]): number[] {
  return partitions.map(({ partition }) => partition);
}

let member: Member | undefined;

async function answer(request: MemberRequest): Promise<number> {
  if (request.command === 'join') {
    member = new Member(request.options);
    member.start();
  } else {
    await member?.leave();
  }
  return 0;
}

process.on('message', (request: MemberRequest) => {
  answer(request).then(
    () => process.send?.({ id: request.id, ok: true, value: 0 }),
    (error: Error) => process.send?.({ id: request.id, ok: false, message: error.message }),
  );
});
process.on('disconnect', () => process.exit(0));
