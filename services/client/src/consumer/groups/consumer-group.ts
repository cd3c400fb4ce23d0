import { sleep } from '@naru/runtime';
import type { Cluster } from '../../cluster/cluster.ts';
import type { ConsumerConfig } from '../../config.ts';
import { CommitFailedError, IllegalStateError, type KafkaError, RebalanceInProgressError } from '../../errors.ts';
import { errorFromRpc } from '../../errors-from-wire.ts';
import type { TopicPartition } from '../../topic-partition.ts';
import { type Assignor, keyOf, type RebalanceProtocol } from './assignors/assignor.ts';
import { decodeAssignment, encodeSubscription } from './consumer-protocol.ts';
import { CoordinatorLink } from './coordinator-link.ts';
import { assignGroup, assignorsOf, protocolOf } from './group-assignment.ts';
import { type JoinOutcome, type JoinPlan, type MemberIdentity, Membership } from './membership.ts';
import { type CommittedOffset, OffsetCommits, type OffsetToCommit } from './offset-commits.ts';
import { PollGate } from './poll-gate.ts';
import { SubscribedTopics } from './subscribed-topics.ts';

/**
 * Told of changes of the assignment, inside `poll` or iteration, which wait for what it returns. It may commit and seek. What it throws ends that poll
 * with this error; the rebalance goes on.
 */
export interface RebalanceListener {
  /** New partitions; under a cooperative assignor only those that were added. Seek here to begin elsewhere than at the committed offset. */
  onPartitionsAssigned?(partitions: readonly TopicPartition[]): void | Promise<void>;
  /** About to be given up; commits still count. Processed offsets are committed already with `enable.auto.commit`. */
  onPartitionsRevoked?(partitions: readonly TopicPartition[]): void | Promise<void>;
  /** Taken away already, as after too long a silence: commits fail. Left out: `onPartitionsRevoked` is called instead. */
  onPartitionsLost?(partitions: readonly TopicPartition[]): void | Promise<void>;
}

/** What a group needs of the consumer it belongs to. */
export interface GroupHost {
  assignment(): TopicPartition[];
  /** Partitions that stay keep their state; added ones wait for their committed offset. */
  replaceAssignment(partitions: readonly TopicPartition[], why: 'assigned' | 'revoked' | 'lost'): void;
  /** Where the application stands, of partitions whose offset is not committed yet. */
  processed(partitions: readonly TopicPartition[]): OffsetToCommit[];
  onCommitted(offsets: readonly OffsetToCommit[]): void;
  /** Resolves when nobody works on records of these partitions any more. */
  drain(partitions: readonly TopicPartition[]): Promise<void>;
  /** Partitions that wait for their committed offset. */
  unplaced(): TopicPartition[];
  place(offsets: readonly CommittedOffset[]): void;
  /** Something changed that poll must look at. */
  wake(): void;
}

export interface ConsumerHealth {
  /**
   * `idle`: no group or nothing subscribed. `rebalancing`: it joins, or waits for its coordinator. `lost`: the group went on without it; the next poll
   * joins again. `failed`: the error below ended it.
   */
  readonly status: 'idle' | 'stable' | 'rebalancing' | 'lost' | 'failed' | 'closed';
  readonly memberId: string;
  readonly generation: number;
  /** Broker id; -1 unknown. */
  readonly coordinator: number;
  readonly assignedPartitions: number;
  /** Since the application's last poll. */
  readonly sincePollMs: number;
  /** Since the coordinator is known to have heard of this member; undefined outside of the group. */
  readonly sinceHeartbeatMs: number | undefined;
  readonly error: KafkaError | undefined;
}

/** A poll that waits asks at most this often whether a commit is due. */
const commitCheckMs = 100;

const nobody: MemberIdentity = { memberId: '', groupInstanceId: '', generation: -1 };

/** One subscription from subscribe to unsubscribe. */
interface Session {
  readonly membership: Membership;
  readonly topics: SubscribedTopics;
  readonly stop: AbortController;
  listener: RebalanceListener;
}

/**
 * A consumer's part in its group. `#live` is the life of a member, written as it happens: give up what must be given up, join, take what is assigned,
 * wait until the group rebalances. It runs beside the application; only where it touches the assignment or calls the listener it waits for
 * the application to be in `poll` (`PollGate`), so that a slow handler never meets a rebalance in the middle of a record.
 */
export class ConsumerGroup {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #host: GroupHost;
  readonly #assignors: readonly Assignor[];
  readonly #protocol: RebalanceProtocol;
  readonly #link: CoordinatorLink;
  readonly #commits: OffsetCommits;
  readonly #gate: PollGate;
  readonly #closing = new AbortController();
  #session: Session | undefined;
  #phase: 'joining' | 'stable' = 'joining';
  /** No records are handed out: what was processed is being committed, to give partitions up. */
  #isHeld = false;
  #rejoinReason: string | undefined;
  #onRejoinWanted: (() => void) | undefined;
  #failure: KafkaError | undefined;
  #onFailureTaken: (() => void) | undefined;
  #lastAssigned: readonly TopicPartition[] = [];
  #assignedGeneration = -1;
  #isLoading = false;
  #autoCommitAtMs: number;
  #isAutoCommitting = false;
  #lastPollMs: number;

  constructor(cluster: Cluster, config: ConsumerConfig, host: GroupHost, assignors: readonly Assignor[] = []) {
    this.#cluster = cluster;
    this.#config = config;
    this.#host = host;
    this.#assignors = assignorsOf(config['partition.assignment.strategy'], assignors);
    this.#protocol = protocolOf(this.#assignors);
    this.#link = new CoordinatorLink(cluster, config['group.id'], config['session.timeout.ms']);
    this.#gate = new PollGate(() => host.wake());
    this.#autoCommitAtMs = cluster.nowMs() + config['auto.commit.interval.ms'];
    this.#lastPollMs = cluster.nowMs();
    this.#commits = new OffsetCommits(cluster, config, {
      link: this.#link,
      identity: () => this.identity,
      onGroupError: (code, identity) => this.#session?.membership.onGroupError(code, identity),
      signal: this.#closing.signal,
    });
  }

  get identity(): MemberIdentity {
    return this.#session?.membership.identity ?? nobody;
  }

  get isSubscribed(): boolean {
    return this.#session !== undefined;
  }

  /** Records may be handed out. */
  mayRead(): boolean {
    this.#session?.membership.checkSilence();
    return !this.#gate.isBusy && !this.#isHeld && !(this.#session?.membership.isLost ?? false);
  }

  /** A rebalance works on the assignment: poll must not return yet. */
  get isBusy(): boolean {
    return this.#gate.isBusy;
  }

  /** The application should come to poll soon, although it still has records: a rebalance waits for it, or a commit is due. */
  get wantsPoll(): boolean {
    const isLost = this.#session?.membership.isLost ?? false;
    return isLost || this.#gate.isAwaited || this.#isHeld || this.#isAutoCommitDue();
  }

  get subscription(): readonly string[] {
    return this.#session?.topics.topics ?? [];
  }

  subscribe(subscription: readonly string[] | RegExp, listener: RebalanceListener | undefined): void {
    const isNew = this.#session === undefined;
    const session = this.#session ?? this.#newSession();
    this.#session = session;
    session.listener = listener ?? session.listener;
    session.topics.set(subscription);
    if (isNew) void this.#live(session);
    else this.#requestRejoin('the subscription changed');
  }

  /** Gives everything up, tells the listener and leaves the group, within `timeoutMs`. */
  async unsubscribe(timeoutMs: number): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    const deadlineMs = this.#cluster.nowMs() + timeoutMs;
    const ended = new IllegalStateError('the subscription has ended');
    session.stop.abort(ended);
    session.membership.stopJoining(ended);
    session.topics.close();
    this.#gate.forget();
    let failure: unknown;
    const held = this.#host.assignment();
    if (held.length > 0) {
      if (!session.membership.isLost) await this.#commitBeforeRevoke(held, deadlineMs);
      session.membership.checkSilence();
      const { isLost } = session.membership;
      failure = await this.#tell(session, isLost ? 'lost' : 'revoked', held);
      this.#host.replaceAssignment([], isLost ? 'lost' : 'revoked');
    }
    await session.membership.leave('the consumer ends its subscription', deadlineMs - this.#cluster.nowMs());
    session.membership.close(ended);
    this.#session = undefined;
    this.#isHeld = false;
    this.#failure = undefined;
    this.#assignedGeneration = -1;
    if (failure !== undefined) throw failure;
  }

  async close(timeoutMs: number): Promise<void> {
    const deadlineMs = this.#cluster.nowMs() + timeoutMs;
    try {
      if (this.#session !== undefined) await this.unsubscribe(timeoutMs);
      else if (this.#config['enable.auto.commit']) await this.#commitBeforeRevoke(this.#host.assignment(), deadlineMs);
      await this.#until(this.#commits.settled(), deadlineMs);
    } finally {
      this.#closing.abort(new IllegalStateError('the consumer is closed'));
      await this.#link.close();
    }
  }

  /** The application is alive: it polls, or takes the next record of an iteration. */
  onActive(): void {
    this.#lastPollMs = this.#cluster.nowMs();
    this.#session?.membership.onPoll();
    this.#session?.membership.checkSilence();
  }

  /** Poll begins. What was handed out before counts as processed. */
  enterPoll(): void {
    this.onActive();
    this.commitIfDue();
    if (this.#host.unplaced().length > 0) this.loadCommitted();
    this.#gate.open();
  }

  /** Commits what was processed when it is time to. Returns when to ask again (monotonic). */
  commitIfDue(): number {
    if (this.#isAutoCommitDue()) void this.#autoCommit();
    if (!this.#config['enable.auto.commit']) return Number.POSITIVE_INFINITY;
    return Math.max(this.#autoCommitAtMs, this.#cluster.nowMs() + commitCheckMs);
  }

  leavePoll(): void {
    this.#gate.close();
  }

  /** What poll must throw. An error that cannot pass comes again at every poll. */
  takeFailure(): KafkaError | undefined {
    const failure = this.#failure;
    if (failure !== undefined && !failure.fatal) {
      this.#failure = undefined;
      this.#onFailureTaken?.();
    }
    return failure;
  }

  async commit(offsets: readonly OffsetToCommit[], deadlineMs: number): Promise<void> {
    if (this.isSubscribed && this.identity.generation < 0 && offsets.length > 0) {
      throw new CommitFailedError('this consumer is not a member of its group at the moment; poll, then commit again');
    }
    await this.#commits.commit(offsets, deadlineMs);
    this.#host.onCommitted(offsets);
  }

  committed(partitions: readonly TopicPartition[], deadlineMs: number): Promise<CommittedOffset[]> {
    return this.#commits.fetch(partitions, deadlineMs);
  }

  /** Asks the group where the unplaced partitions begin; for ever, until none is left. */
  loadCommitted(): void {
    if (this.#isLoading || this.#closing.signal.aborted) return;
    this.#isLoading = true;
    void this.#load().finally(() => {
      this.#isLoading = false;
    });
  }

  health(): ConsumerHealth {
    const { memberId, generation } = this.identity;
    return {
      status: this.#status(),
      memberId,
      generation,
      coordinator: this.#link.nodeId,
      assignedPartitions: this.#host.assignment().length,
      sincePollMs: this.#cluster.nowMs() - this.#lastPollMs,
      sinceHeartbeatMs: generation < 0 ? undefined : this.#session?.membership.silentMs,
      error: this.#failure,
    };
  }

  #status(): ConsumerHealth['status'] {
    this.#session?.membership.checkSilence();
    if (this.#closing.signal.aborted) return 'closed';
    if (this.#failure !== undefined) return 'failed';
    if (this.#session === undefined) return 'idle';
    if (this.#session.membership.isLost) return 'lost';
    return this.#phase === 'stable' ? 'stable' : 'rebalancing';
  }

  #newSession(): Session {
    const onRejoin = (reason: string): void => this.#requestRejoin(reason);
    const stop = new AbortController();
    return {
      membership: new Membership(this.#cluster, this.#config, this.#link, onRejoin),
      topics: new SubscribedTopics(this.#cluster, {
        signal: stop.signal,
        excludeInternal: this.#config['exclude.internal.topics'],
        maxAgeMs: this.#config['metadata.max.age.ms'],
        onChange: onRejoin,
      }),
      stop,
      listener: {},
    };
  }

  // ---- the life of a member

  async #live(session: Session): Promise<void> {
    const { signal } = session.stop;
    let isBegun = false;
    while (!signal.aborted) {
      try {
        // Nothing connects before the first poll.
        if (!isBegun) await this.#enter(session);
        if (!isBegun) this.#gate.leave();
        isBegun = true;
        await this.#round(session);
      } catch (cause) {
        if (signal.aborted) return;
        await this.#fail(session, errorFromRpc(cause)).catch(() => undefined);
      }
    }
  }

  /** Waits for the application to poll. Fails when the subscription ended meanwhile. */
  async #enter({ stop }: Session): Promise<void> {
    await this.#gate.enter();
    if (!stop.signal.aborted) return;
    this.#gate.leave();
    throw stop.signal.reason;
  }

  /** One rebalance, and the quiet time after it. */
  async #round(session: Session): Promise<void> {
    const { membership, topics } = session;
    this.#phase = 'joining';
    this.#rejoinReason = undefined;
    if (membership.fatal !== undefined) {
      await this.#giveUpLost(session);
      throw membership.fatal;
    }
    await topics.resolve();
    if (membership.isLost) await this.#giveUpLost(session);
    else await this.#giveUp(session, this.#toGiveUp(session));
    if (session.stop.signal.aborted || membership.isLost) return;
    this.#rejoinReason = undefined;
    const outcome = await membership.join(() => this.#plan(session));
    if (session.stop.signal.aborted || outcome.kind === 'lost') return;
    await this.#take(session, outcome);
    if (!membership.isLost) await this.#rejoinWanted(session);
  }

  async #fail(session: Session, error: KafkaError): Promise<void> {
    this.#cluster.logger.error(
      { err: error, group: this.#config['group.id'] },
      'the consumer cannot stay in its group',
    );
    this.#failure = error;
    // Without heartbeats the partitions go to others.
    if (this.#host.assignment().length > 0 && !session.membership.isLost) session.membership.lose(error.message);
    this.#host.wake();
    await new Promise<void>((resolve) => {
      this.#onFailureTaken = resolve;
      session.stop.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    // The application polls on: it wants another attempt.
    await this.#enter(session);
    this.#gate.leave();
  }

  /** Eager: all. Cooperative: only what is no longer subscribed to. */
  #toGiveUp({ topics }: Session): TopicPartition[] {
    const held = this.#host.assignment();
    if (this.#protocol === 'eager') return held;
    const wanted = new Set(topics.topics);
    return held.filter(({ topic }) => !wanted.has(topic));
  }

  /**
   * Commits what was processed, tells the listener, takes the partitions away. The membership may end during the commit: then they are lost, and the next
   * round says so.
   */
  async #giveUp(session: Session, partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return;
    await this.#enter(session);
    // Records that are handed out from here on would not be in the commit.
    this.#isHeld = true;
    this.#gate.leave();
    const limitMs = Math.min(this.#config['default.api.timeout.ms'], this.#config['max.poll.interval.ms']);
    await this.#commitBeforeRevoke(partitions, this.#cluster.nowMs() + limitMs);
    if (session.stop.signal.aborted) return;
    await this.#enter(session);
    try {
      if (session.membership.isLost) return;
      const failure = await this.#tell(session, 'revoked', partitions);
      this.#host.replaceAssignment(without(this.#host.assignment(), partitions), 'revoked');
      if (failure !== undefined) this.#failure ??= failure;
    } finally {
      this.#isHeld = false;
      this.#gate.leave();
    }
  }

  async #giveUpLost(session: Session): Promise<void> {
    await this.#enter(session);
    try {
      this.#isHeld = false;
      const held = this.#host.assignment();
      this.#assignedGeneration = -1;
      const failure = held.length === 0 ? undefined : await this.#tell(session, 'lost', held);
      this.#host.replaceAssignment([], 'lost');
      session.membership.forgetLoss();
      if (failure !== undefined) this.#failure ??= failure;
    } finally {
      this.#gate.leave();
    }
  }

  async #take(session: Session, outcome: Extract<JoinOutcome, { kind: 'joined' }>): Promise<void> {
    const { membership, topics } = session;
    const { partitions } = decodeAssignment(outcome.assignment);
    topics.watch(outcome.isLeader);
    const generation = membership.identity.generation;
    const revoked = without(this.#host.assignment(), partitions);
    await this.#giveUp(session, revoked);
    await this.#enter(session);
    try {
      if (membership.isLost) return;
      const added = without(partitions, this.#host.assignment());
      this.#host.replaceAssignment(partitions, 'assigned');
      topics.watch(outcome.isLeader);
      this.#lastAssigned = partitions;
      this.#assignedGeneration = generation;
      this.#phase = 'stable';
      this.loadCommitted();
      const failure = await this.#tell(session, 'assigned', added);
      if (failure !== undefined) this.#failure ??= failure;
      // The next round hands them to their new owners (KIP-429).
      if (revoked.length > 0 && this.#protocol === 'cooperative') this.#requestRejoin('partitions were given up');
    } finally {
      this.#gate.leave();
    }
  }

  #plan({ topics }: Session): JoinPlan {
    const subscription = {
      topics: topics.topics,
      ownedPartitions: this.#protocol === 'cooperative' ? this.#host.assignment() : [],
      generationId: this.#assignedGeneration,
      rackId: this.#config['client.rack'] || null,
    };
    const state = { topics: topics.topics, lastAssigned: this.#lastAssigned, generation: this.#assignedGeneration };
    const protocols = this.#assignors.map((assignor) => ({
      name: assignor.name,
      metadata: encodeSubscription({ ...subscription, userData: assignor.userData?.(state) ?? null }),
    }));
    return {
      protocols,
      reason: this.#rejoinReason ?? 'the consumer begins',
      assign: (name, members) =>
        assignGroup(this.#assignors, name, members, {
          count: (asked) => topics.count(asked),
          logger: this.#cluster.logger,
        }),
    };
  }

  #requestRejoin(reason: string): void {
    this.#rejoinReason ??= reason;
    this.#onRejoinWanted?.();
    this.#host.wake();
  }

  #rejoinWanted(session: Session): Promise<void> {
    if (this.#rejoinReason !== undefined || session.stop.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        session.stop.signal.removeEventListener('abort', done);
        this.#onRejoinWanted = undefined;
        resolve();
      };
      this.#onRejoinWanted = done;
      session.stop.signal.addEventListener('abort', done, { once: true });
    });
  }

  /** The listener's error, if it throws. */
  async #tell(
    { listener }: Session,
    what: 'assigned' | 'revoked' | 'lost',
    partitions: readonly TopicPartition[],
  ): Promise<KafkaError | undefined> {
    try {
      if (what === 'assigned') await listener.onPartitionsAssigned?.(partitions);
      else if (what === 'lost' && listener.onPartitionsLost !== undefined) await listener.onPartitionsLost(partitions);
      else await listener.onPartitionsRevoked?.(partitions);
      return undefined;
    } catch (cause) {
      return errorFromRpc(cause);
    }
  }

  // ---- offsets

  #isAutoCommitDue(): boolean {
    return (
      this.#config['enable.auto.commit'] && !this.#isAutoCommitting && this.#cluster.nowMs() >= this.#autoCommitAtMs
    );
  }

  /** What cannot be committed now is part of the next commit. */
  async #autoCommit(): Promise<void> {
    this.#autoCommitAtMs = this.#cluster.nowMs() + this.#config['auto.commit.interval.ms'];
    const offsets = this.#host.processed(this.#host.assignment());
    if (offsets.length === 0 || (this.isSubscribed && this.identity.generation < 0)) return;
    this.#isAutoCommitting = true;
    try {
      await this.commit(offsets, this.#cluster.nowMs() + this.#config['default.api.timeout.ms']);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#cluster.logger.warn({ err: error, group: this.#config['group.id'] }, 'an automatic commit failed');
    } finally {
      this.#isAutoCommitting = false;
    }
  }

  /** A failure means that the new owner does some of the work again; it must not stop the rebalance. */
  async #commitBeforeRevoke(partitions: readonly TopicPartition[], deadlineMs: number): Promise<void> {
    await this.#until(this.#host.drain(partitions), deadlineMs);
    if (!this.#config['enable.auto.commit']) return;
    const offsets = this.#host.processed(partitions);
    if (offsets.length === 0) return;
    try {
      await this.commit(offsets, deadlineMs);
    } catch (error) {
      this.#cluster.logger.warn(
        { err: error, group: this.#config['group.id'] },
        'the last commit of partitions failed',
      );
    }
  }

  async #load(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const partitions = this.#host.unplaced();
      if (partitions.length === 0) return;
      try {
        this.#host.place(await this.#commits.fetch(partitions, Number.POSITIVE_INFINITY));
        this.#host.wake();
      } catch (cause) {
        if (this.#closing.signal.aborted) return;
        const error = errorFromRpc(cause);
        // After a rebalance the membership is another one; whoever joins asks again.
        if (this.isSubscribed && isOfMembership(error)) return;
        this.#failure ??= error;
        this.#host.wake();
        return;
      }
      await sleep(this.#cluster.runtime.timers, 0, this.#closing.signal).catch(() => undefined);
    }
  }

  async #until(promise: Promise<unknown>, deadlineMs: number): Promise<void> {
    const stop = new AbortController();
    const limitMs = Math.max(0, deadlineMs - this.#cluster.nowMs());
    const late = sleep(this.#cluster.runtime.timers, limitMs, stop.signal).catch(() => undefined);
    await Promise.race([promise.catch(() => undefined), late]);
    stop.abort();
  }
}

function without(partitions: readonly TopicPartition[], removed: readonly TopicPartition[]): TopicPartition[] {
  const keys = new Set(removed.map(keyOf));
  return partitions.filter((partition) => !keys.has(keyOf(partition)));
}

function isOfMembership(error: KafkaError): boolean {
  return error instanceof CommitFailedError || error instanceof RebalanceInProgressError || error.fatal;
}
