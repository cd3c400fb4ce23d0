import { errorCodes } from '@naru/kafka-protocol';
import { groupMethods, type groups } from '@naru/rpc';
import { randomUuid, sleep, type Timer } from '@naru/runtime';
import type { Cluster } from '../../cluster/cluster.ts';
import type { ConsumerConfig } from '../../config.ts';
import {
  DisconnectError,
  InconsistentGroupProtocolError,
  type KafkaError,
  UnreleasedInstanceIdError,
} from '../../errors.ts';
import { errorFromCode, errorFromRpc } from '../../errors-from-wire.ts';
import type { TopicPartition } from '../../topic-partition.ts';
import type { CoordinatorLink } from './coordinator-link.ts';
import type { GroupMembership, MemberIdentity } from './group-host.ts';

/** A partition of one incarnation of a topic. */
export interface MemberPartition extends TopicPartition {
  /** 22 characters of base64url. */
  readonly topicId: string;
}

export interface ServerMembershipParts {
  readonly link: CoordinatorLink;
  /** Since the application was last seen in poll. */
  readonly sincePollMs: () => number;
  readonly topics: () => readonly string[];
  /** What the member holds. */
  readonly held: () => readonly MemberPartition[];
  /** `told` or `isLost` is another. */
  readonly onChange: () => void;
}

const joinEpoch = 0;
const leaveEpoch = -1;
const awayEpoch = -2;
/** Kafka's default, until the coordinator has said what it is. */
const sessionTimeoutMs = 45_000;
const heartbeatIntervalMs = 5_000;
/** A heartbeat waits for news for this part of a session at most, and for its answer twice as long. */
const waitsPerSession = 6;
const leaveTimeoutMs = 5_000;

/**
 * The member's side of KIP-848: heartbeats that name all there is to know of the member, and answers that say what it should hold (`told`). Nothing is sent
 * but heartbeats; one at a time, and each waits at the coordinator for news. It knows partitions, but takes and gives up none: that is
 * `ServerAssignedLife`'s, which then wants the next heartbeat at once (`nudge`).
 *
 * Heartbeats name what the member holds and what it was told to take: what they leave out the coordinator gives to others.
 *
 * Each membership has an id of its own, made here (KIP-1082), so that a join whose answer got lost leaves no second member behind.
 */
export class ServerMembership implements GroupMembership {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #parts: ServerMembershipParts;
  /** Why nothing more is sent. */
  #closed: KafkaError | undefined;
  /** Ends what is being waited for: a heartbeat, or the pause before the next. */
  #waiting: AbortController | undefined;
  #isNudged = false;
  #isEnding = false;
  #memberId = '';
  /** 0: not in the group. */
  #epoch = joinEpoch;
  #life = 0;
  #sequence = 0;
  #told: readonly MemberPartition[] | undefined;
  #isLost = false;
  #fatal: KafkaError | undefined;
  #intervals = { sessionTimeoutMs, heartbeatIntervalMs };
  #aliveAtMs = 0;
  #silenceTimer: Timer | undefined;

  constructor(cluster: Cluster, config: ConsumerConfig, parts: ServerMembershipParts) {
    this.#cluster = cluster;
    this.#config = config;
    this.#parts = parts;
  }

  get identity(): MemberIdentity {
    const generation = this.#epoch > joinEpoch ? this.#epoch : -1;
    const groupInstanceId = this.#config['group.instance.id'];
    return { memberId: this.#memberId, groupInstanceId, generation, life: this.#life };
  }

  /** What the coordinator wants the member to hold; undefined: it has not said. */
  get told(): readonly MemberPartition[] | undefined {
    return this.#told;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  get fatal(): KafkaError | undefined {
    return this.#fatal;
  }

  get silentMs(): number {
    return this.#cluster.nowMs() - this.#aliveAtMs;
  }

  checkSilence(): void {
    const isOver = this.#epoch > joinEpoch && this.silentMs > this.#intervals.sessionTimeoutMs;
    if (isOver) this.lose('nothing was heard from the coordinator for its session timeout');
  }

  forgetLoss(): void {
    this.#isLost = false;
  }

  /** The next heartbeat leaves at once: there is something to say. */
  nudge(): void {
    this.#isNudged = true;
    this.#waiting?.abort(new DisconnectError('there is more to say'));
  }

  /** Into the group, unless it is there. Fails only with what retrying does not help against, or when closed. */
  async join(): Promise<void> {
    if (this.#epoch > joinEpoch) return;
    this.#memberId = randomUuid(this.#cluster.runtime.random);
    for (let attempt = 1; this.#epoch === joinEpoch; attempt++) {
      try {
        const sentAtMs = this.#cluster.nowMs();
        this.#onAnswer(await this.#send(joinEpoch, 0), sentAtMs);
      } catch (cause) {
        const error = errorFromRpc(cause);
        // The instance's last life has not ended for the group; it does with its session at the latest.
        const isHeld = error instanceof UnreleasedInstanceIdError;
        if (this.#isOver || !(error.retriable || isHeld)) throw error;
        const level = isHeld ? 'warn' : 'debug';
        this.#cluster.logger[level]({ err: error, group: this.#config['group.id'] }, 'joining is tried again');
        await this.#pause(this.#cluster.retryPauseMs(attempt));
      }
      if (this.#isOver) throw new DisconnectError('the subscription has ended');
    }
    void this.#beat(this.#memberId);
  }

  onGroupError(code: number, { memberId }: MemberIdentity): void {
    if (memberId !== this.#memberId || this.#epoch === joinEpoch) return;
    if (code === errorCodes.STALE_MEMBER_EPOCH) this.nudge();
    else if (code === errorCodes.FENCED_INSTANCE_ID) this.#fence();
    else if (code === errorCodes.UNKNOWN_MEMBER_ID) this.lose('the group goes on without this member');
  }

  /** Out of the group; a static member for a while, so that it finds its partitions again when it is back within the session timeout. */
  async leave(reason: string, timeoutMs = leaveTimeoutMs): Promise<void> {
    const isMember = this.#epoch > joinEpoch;
    const isStatic = this.#config['group.instance.id'] !== '';
    const request = this.#request(isStatic ? awayEpoch : leaveEpoch, 0);
    this.#end();
    if (!isMember || timeoutMs <= 0) return;
    try {
      const options = { timeoutMs: Math.min(leaveTimeoutMs, timeoutMs) };
      await this.#parts.link.call(groupMethods.consumerGroupHeartbeat, request, options);
    } catch (error) {
      this.#cluster.logger.debug({ err: error, reason }, 'leaving the group was not confirmed');
    }
  }

  stopJoining(reason: KafkaError): void {
    this.#isEnding = true;
    if (this.#epoch === joinEpoch) this.#waiting?.abort(reason);
  }

  close(reason: KafkaError): void {
    this.#closed ??= reason;
    this.#waiting?.abort(reason);
    this.#end();
  }

  lose(reason: string): void {
    this.#end();
    this.#isLost = true;
    this.#cluster.logger.warn({ group: this.#config['group.id'], reason }, 'out of the group');
    this.#parts.onChange();
  }

  #end(): void {
    this.#life++;
    this.#memberId = '';
    this.#epoch = joinEpoch;
    this.#told = undefined;
    this.#silenceTimer?.cancel();
    this.#waiting?.abort(new DisconnectError('the membership has ended'));
  }

  get #isOver(): boolean {
    return this.#isEnding || this.#closed !== undefined;
  }

  // ---- heartbeats

  /** For as long as it is this member, whatever the application does. */
  async #beat(memberId: string): Promise<void> {
    for (let failures = 0; memberId === this.#memberId; ) {
      if (this.#parts.sincePollMs() > this.#config['max.poll.interval.ms']) {
        this.#onPollTimeout();
        return;
      }
      const sentAtMs = this.#cluster.nowMs();
      const epoch = this.#epoch;
      this.#isNudged = false;
      try {
        const answer = await this.#send(epoch, this.#waitMs);
        if (memberId !== this.#memberId) return;
        failures = 0;
        const isNews = this.#onAnswer(answer, sentAtMs);
        if (isNews) continue;
      } catch (cause) {
        if (memberId !== this.#memberId || this.#closed !== undefined) return;
        if (this.#isNudged) continue;
        this.#onBeatFailed(errorFromRpc(cause));
        failures++;
      }
      const nextAtMs = sentAtMs + this.#intervals.heartbeatIntervalMs;
      const pauseMs = failures === 0 ? nextAtMs - this.#cluster.nowMs() : this.#cluster.retryPauseMs(failures);
      if (memberId === this.#memberId && !this.#isNudged) await this.#pause(pauseMs);
    }
  }

  #onBeatFailed(error: KafkaError): void {
    this.#cluster.logger.debug({ err: error }, 'a heartbeat was not answered');
    if (!error.retriable) this.lose(error.message);
  }

  #onPollTimeout(): void {
    const reason = 'the application has not polled for max.poll.interval.ms';
    void this.leave(reason);
    this.lose(reason);
  }

  get #waitMs(): number {
    return Math.floor(
      Math.min(this.#intervals.heartbeatIntervalMs, this.#intervals.sessionTimeoutMs / waitsPerSession),
    );
  }

  /** Returns whether it said something new. */
  #onAnswer(answer: groups.ConsumerGroupHeartbeatResponse, sentAtMs: number): boolean {
    switch (answer.errorCode) {
      case errorCodes.NONE:
        return this.#onAlive(answer, sentAtMs);
      case errorCodes.UNKNOWN_MEMBER_ID:
      case errorCodes.FENCED_MEMBER_EPOCH:
        this.lose('the group goes on without this member');
        return false;
      case errorCodes.FENCED_INSTANCE_ID:
        throw this.#fence();
      case errorCodes.GROUP_ID_NOT_FOUND:
        if (this.#epoch > joinEpoch) {
          this.lose('the group does not exist any more');
          return false;
        }
        // The group has members of the classic protocol and cannot change its own; the coordinator says why.
        throw new InconsistentGroupProtocolError(answer.errorMessage);
      default:
        throw errorFromCode(answer.errorCode, answer.errorMessage);
    }
  }

  #onAlive(answer: groups.ConsumerGroupHeartbeatResponse, sentAtMs: number): boolean {
    const { memberEpoch, hasAssignment, assignment } = answer;
    const told = hasAssignment ? partitionsOf(assignment) : this.#told;
    const isNews = memberEpoch !== this.#epoch || !isSame(told, this.#told);
    const { sessionTimeoutMs: session, heartbeatIntervalMs: interval } = answer;
    if (session > 0 && interval > 0) this.#intervals = { sessionTimeoutMs: session, heartbeatIntervalMs: interval };
    this.#epoch = memberEpoch;
    this.#told = told;
    this.#aliveAtMs = sentAtMs;
    this.#watchSilence();
    if (isNews) this.#parts.onChange();
    return isNews;
  }

  #watchSilence(): void {
    this.#silenceTimer?.cancel();
    const leftMs = this.#aliveAtMs + this.#intervals.sessionTimeoutMs - this.#cluster.nowMs();
    this.#silenceTimer = this.#cluster.runtime.timers.after(Math.max(1, leftMs + 1), () => this.checkSilence());
  }

  #fence(): KafkaError {
    const instanceId = this.#config['group.instance.id'];
    const message = `another member took over group.instance.id ${instanceId}`;
    this.#fatal = errorFromCode(errorCodes.FENCED_INSTANCE_ID, message);
    this.lose(message);
    return this.#fatal;
  }

  async #send(memberEpoch: number, maxWaitMs: number): Promise<groups.ConsumerGroupHeartbeatResponse> {
    const timeoutMs = this.#intervals.sessionTimeoutMs / (waitsPerSession / 2);
    const request = this.#request(memberEpoch, maxWaitMs);
    return this.#interruptible((signal) => {
      // Its own time limit is shorter than what a probe would find out.
      const options = { timeoutMs, signal, isProbed: false };
      return this.#parts.link.call(groupMethods.consumerGroupHeartbeat, request, options);
    });
  }

  #request(memberEpoch: number, maxWaitMs: number): groups.ConsumerGroupHeartbeatRequest {
    const config = this.#config;
    const rebalanceTimeoutMs = config['rebalance.timeout.ms'];
    return {
      groupId: config['group.id'],
      memberId: this.#memberId,
      memberEpoch,
      instanceId: config['group.instance.id'],
      rackId: config['client.rack'],
      rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? config['max.poll.interval.ms'] : rebalanceTimeoutMs,
      subscribedTopics: [...this.#parts.topics()],
      subscribedTopicRegex: '',
      serverAssignor: config['group.remote.assignor'],
      owned: memberEpoch > joinEpoch ? byTopic([...this.#parts.held(), ...(this.#told ?? [])]) : [],
      clientId: this.#cluster.config['client.id'],
      maxWaitMs,
      sequence: ++this.#sequence,
    };
  }

  #pause(ms: number): Promise<void> {
    const { timers } = this.#cluster.runtime;
    return this.#interruptible((signal) => sleep(timers, Math.max(1, ms), signal)).catch(() => undefined);
  }

  async #interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const waiting = new AbortController();
    if (this.#closed !== undefined) waiting.abort(this.#closed);
    this.#waiting = waiting;
    try {
      return await work(waiting.signal);
    } finally {
      if (this.#waiting === waiting) this.#waiting = undefined;
    }
  }
}

export function memberPartitionKey({ topicId, partition }: MemberPartition): string {
  return `${topicId}/${partition}`;
}

function partitionsOf(assignment: readonly groups.MemberPartitions[]): readonly MemberPartition[] {
  return assignment.flatMap(({ topicId, topic, partitions }) =>
    partitions.map((partition) => ({ topicId, topic, partition })),
  );
}

/** Each partition once. */
function byTopic(partitions: readonly MemberPartition[]): groups.MemberPartitions[] {
  const topics = new Map<string, Set<number>>();
  for (const { topicId, partition } of partitions) {
    topics.set(topicId, (topics.get(topicId) ?? new Set()).add(partition));
  }
  return [...topics].map(([topicId, numbers]) => ({ topicId, topic: '', partitions: [...numbers] }));
}

function isSame(one: readonly MemberPartition[] | undefined, other: readonly MemberPartition[] | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  const keys = new Set(one.map(memberPartitionKey));
  return one.length === other.length && other.every((partition) => keys.has(memberPartitionKey(partition)));
}
