import { Client, type Consumer, type ConsumerRecord, KafkaError, type TopicPartition, WakeupError } from '@naru/client';
import { sleep } from '@naru/runtime';
import { commitStamp, type GroupLogChecker } from '../checkers/group-log.ts';
import type { Progress } from '../checkers/group-progress.ts';
import type { History } from './history.ts';
import type { GroupParameters } from './parameters.ts';
import type { Story } from './story.ts';
import { require, Violation } from './violation.ts';
import type { World } from './world.ts';

/** How a member reads and commits. */
export const memberStyles = ['sync', 'async', 'auto', 'run'] as const;
export type MemberStyle = (typeof memberStyles)[number];

export const groupId = 'workers';
const closeTimeoutMs = 5_000;
const restartAfterMs = 300;

type Records = readonly ConsumerRecord<Buffer, Buffer>[];
type Commit = TopicPartition & { readonly offset: number; readonly metadata: string };

/** What the members of the group share. */
export interface GroupContext {
  readonly world: World;
  readonly history: History;
  readonly story: Story;
  readonly progress: Progress;
  readonly checker: GroupLogChecker;
  readonly parameters: GroupParameters;
  readonly topics: readonly string[];
}

/** A machine on which an application, one member of the group, is started again whenever it ended. */
export class GroupMember {
  readonly host: string;
  readonly #context: GroupContext;
  readonly #holders: Holders;
  readonly style: MemberStyle;
  readonly #instanceId: string;
  /** The application that runs, or ran last. */
  consumer: Consumer | undefined;
  #stop = new AbortController();
  #isRunning = false;
  #starts = 0;
  /** Something that must not happen. */
  failure: unknown;

  constructor(host: string, context: GroupContext, holders: Holders, index: number) {
    this.host = host;
    this.#context = context;
    this.#holders = holders;
    const { styles, statics } = context.parameters;
    this.style = styles[index] as MemberStyle;
    this.#instanceId = statics[index] ? host : '';
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  get node(): ReturnType<World['node']> {
    return this.#context.world.node(this.host);
  }

  /** Nothing when it runs. */
  start(): void {
    if (!this.node.alive) this.node.restart();
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { world, topics, parameters, history } = this.#context;
    const { runtime } = this.node;
    const client = new Client({ 'bootstrap.servers': world.bootstrapServers, runtime });
    const consumer = client.consumer({
      'group.id': groupId,
      'group.instance.id': this.#instanceId,
      'auto.offset.reset': 'earliest',
      'enable.auto.commit': this.style === 'auto' || this.style === 'run',
      'auto.commit.interval.ms': 300,
      'request.timeout.ms': 3_000,
      ...parameters.settings,
      ...parameters.settingsOf[this.#drawProtocol()],
    });
    this.consumer = consumer;
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    consumer.subscribe(topics, {
      onPartitionsAssigned: (partitions) => {
        for (const { topic, partition } of partitions) history.assigned(this.host, topic, partition);
        this.#guard(() => this.#holders.take(this, partitions));
      },
      onPartitionsRevoked: (partitions) => this.#holders.give(this, partitions),
    });
    this.#work(consumer, signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.failure ??= error;
      })
      .then(() => client.close({ timeoutMs: closeTimeoutMs }))
      .catch((error: unknown) => {
        if (!(error instanceof KafkaError)) this.failure ??= error;
      })
      .then(() => {
        if (this.node.runtime !== runtime) return;
        this.#isRunning = false;
        // It ended by itself, and has a supervisor.
        if (!signal.aborted) world.sim.at(restartAfterMs, () => this.node.alive && this.start());
      });
  }

  #drawProtocol(): 'classic' | 'consumer' {
    const { world, parameters } = this.#context;
    this.#starts++;
    if (parameters.protocol !== 'mixed') return parameters.protocol;
    return world.sim.random.fork(`protocol of ${this.host}, start ${this.#starts}`).chance(0.5)
      ? 'classic'
      : 'consumer';
  }

  /** As SIGTERM. */
  leave(): void {
    this.#stop.abort();
    this.consumer?.wakeup();
  }

  /** kill -9. */
  crash(): void {
    this.node.crash();
    this.#isRunning = false;
    this.#holders.forget(this);
  }

  async #work(consumer: Consumer, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.style === 'run') await this.#run(consumer, signal);
        else await this.#poll(consumer);
      } catch (error) {
        if (error instanceof WakeupError) continue;
        if (!(error instanceof KafkaError)) throw error;
        this.#context.story.tell(this.host, `${error.name} ${error.message}`);
        // As when its own earlier JoinGroup came late, and took over its instance id.
        if (error.fatal) return;
        // Nothing that was processed may vanish, and nothing is removed by retention here.
        if (/LogTruncation|OffsetOutOfRange|Corrupt/.test(error.name))
          throw new Violation('C8', `${this.host}: ${error.message}`);
        await sleep(this.node.runtime.timers, 50);
      }
    }
  }

  async #run(consumer: Consumer, signal: AbortSignal): Promise<void> {
    await consumer.run({ concurrency: 3, orderBy: 'partition', signal }, async (record) => {
      this.#read([record]);
      // Record by record it has to keep up with the producers of a partition.
      if (record.offset % 16n === 0n) await sleep(this.node.runtime.timers, this.#context.parameters.workMs);
      this.#processed([record]);
    });
  }

  async #poll(consumer: Consumer): Promise<void> {
    const records = await consumer.poll(300);
    const { memberId, generation } = consumer.health();
    this.#context.checker.isIn(this.host, groupId, memberId, generation);
    this.#read(records);
    if (this.style === 'auto') this.#processed(records);
    if (records.length === 0) return;
    await sleep(this.node.runtime.timers, this.#context.parameters.workMs);
    this.#processed(records);
    if (this.style === 'sync') await this.#commitSync(consumer, records);
    if (this.style === 'async') this.#commitAsync(consumer, records);
  }

  #read(records: Records): void {
    for (const { topic, partition, offset, value, leaderEpoch } of records) {
      this.#context.history.polled({
        consumer: this.host,
        topic,
        partition,
        offset: Number(offset),
        value,
        leaderEpoch,
      });
    }
  }

  #processed(records: Records): void {
    for (const { topic, partition, offset } of records)
      this.#context.progress.processed(groupId, topic, partition, Number(offset));
  }

  async #commitSync(consumer: Consumer, records: Records): Promise<void> {
    const offsets = this.#nextOffsets(consumer, records);
    await consumer.commitSync(offsets, { timeoutMs: 5_000 });
    this.#acked(offsets);
  }

  #commitAsync(consumer: Consumer, records: Records): void {
    const offsets = this.#nextOffsets(consumer, records);
    consumer.commitAsync(offsets, (error) => {
      if (error === undefined) this.#guard(() => this.#acked(offsets));
    });
  }

  #nextOffsets(consumer: Consumer, records: Records): readonly Commit[] {
    const last = new Map(records.map((record) => [`${record.topic}-${record.partition}`, record]));
    const { memberId, generation } = consumer.health();
    const metadata = this.#context.parameters.protocol === 'classic' ? '' : commitStamp(memberId, generation);
    return [...last.values()].map(({ topic, partition, offset }) => {
      return { topic, partition, offset: Number(offset) + 1, metadata };
    });
  }

  #acked(offsets: readonly Commit[]): void {
    for (const { topic, partition, offset } of offsets) this.#context.checker.acked(groupId, topic, partition, offset);
  }

  /** What a callback throws would only be logged by the SDK. */
  #guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.failure ??= error;
    }
  }
}

/** G1 as members see it. */
class Holders {
  readonly #holders = new Map<string, Set<GroupMember>>();

  /** Nobody else may hold it, but for those who know that they are out, and machines that are frozen: these learn of it before they do anything. */
  take(member: GroupMember, partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) {
      const name = `${topic}-${partition}`;
      const holders = this.#holders.get(name) ?? new Set();
      this.#holders.set(name, holders);
      for (const other of holders) {
        if (other === member || other.node.paused || other.consumer?.health().status === 'lost') continue;
        const health = JSON.stringify(other.consumer?.health());
        require(false, 'G1', () => `${member.host} was given ${name}, which ${other.host} holds: ${health}`);
      }
      holders.add(member);
    }
  }

  give(member: GroupMember, partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#holders.get(`${topic}-${partition}`)?.delete(member);
  }

  forget(member: GroupMember): void {
    for (const holders of this.#holders.values()) holders.delete(member);
  }
}

/** The group of a run: machines `g1`… */
export class GroupMembers {
  readonly members: readonly GroupMember[];
  readonly #context: GroupContext;

  constructor(context: GroupContext) {
    this.#context = context;
    const holders = new Holders();
    this.members = context.world.memberHosts.map((host, index) => new GroupMember(host, context, holders, index));
  }

  start(): void {
    for (const member of this.members) member.start();
  }

  get failure(): unknown {
    return this.members.find(({ failure }) => failure !== undefined)?.failure;
  }

  member(host: string): GroupMember {
    return this.members.find((member) => member.host === host) as GroupMember;
  }

  /** Every partition is with one member, everybody is in, and everything up to `ends` is processed (G1, G6). */
  isSettled(ends: readonly (TopicPartition & { readonly offset: number })[]): boolean {
    const { progress } = this.#context;
    const owned = this.members.reduce((sum, { consumer }) => sum + (consumer?.assignment().length ?? 0), 0);
    return (
      owned === ends.length &&
      this.members.every(({ consumer }) => consumer?.health().status === 'stable') &&
      ends.every(({ topic, partition, offset }) => progress.upTo(groupId, topic, partition) >= offset)
    );
  }

  /** For people. */
  situation(): string[] {
    return this.members.map(({ host, isRunning, style, consumer }) => {
      const held = consumer?.assignment().map(({ topic, partition }) => {
        return `${topic}-${partition} ${this.#context.progress.upTo(groupId, topic, partition)}`;
      });
      const { error, ...health } = consumer?.health() ?? { error: undefined };
      return `${host} ${style} ${isRunning ? 'runs' : 'is down'}: ${held} ${JSON.stringify(health)} ${error?.message ?? ''}`;
    });
  }

  /** The broker that coordinates the group now. */
  coordinatorHost(): string | undefined {
    for (const [id, { groups }] of this.#context.world.brokers) {
      if (groups.shards.some(({ groups, consumerGroups }) => groups.has(groupId) || consumerGroups.has(groupId)))
        return `b${id}`;
    }
    return undefined;
  }
}
