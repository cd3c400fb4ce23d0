import { sleep } from '@naru/runtime';
import type { Cluster } from '../../cluster/cluster.ts';
import type { ConsumerConfig } from '../../config.ts';
import { CommitFailedError, IllegalStateError, type KafkaError, RebalanceInProgressError } from '../../errors.ts';
import { errorFromRpc } from '../../errors-from-wire.ts';
import type { TopicPartition } from '../../topic-partition.ts';
import type { Assignor } from './assignors/assignor.ts';
import { ClassicLife } from './classic-life.ts';
import { CoordinatorLink } from './coordinator-link.ts';
import { assignorsOf } from './group-assignment.ts';
import type {
  ConsumerHealth,
  GroupHost,
  GroupMembership,
  MemberIdentity,
  MemberLife,
  RebalanceListener,
} from './group-host.ts';
import { Handover } from './handover.ts';
import { type CommittedOffset, OffsetCommits, type OffsetToCommit } from './offset-commits.ts';
import { PollGate } from './poll-gate.ts';
import { ProcessedCommits, until } from './processed-commits.ts';
import { ServerAssignedLife } from './server-assigned-life.ts';
import { SubscribedTopics } from './subscribed-topics.ts';

const nobody: MemberIdentity = { memberId: '', groupInstanceId: '', generation: -1, life: 0 };

/** One subscription from subscribe to unsubscribe. */
interface Session {
  readonly life: MemberLife;
  readonly membership: GroupMembership;
  readonly handover: Handover;
  readonly topics: SubscribedTopics;
  readonly stop: AbortController;
  listener: RebalanceListener;
}

/**
 * A consumer's part in its group. `#live` runs beside the application: one round of the member's life after the other, under the classic protocol or KIP-848's;
 * only where a round touches the assignment or calls the listener it waits for the application to be in `poll` (`Handover`).
 */
export class ConsumerGroup {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #host: GroupHost;
  readonly #assignors: readonly Assignor[];
  readonly #link: CoordinatorLink;
  readonly #commits: OffsetCommits;
  readonly #processed: ProcessedCommits;
  readonly #gate: PollGate;
  readonly #closing = new AbortController();
  #session: Session | undefined;
  #failure: KafkaError | undefined;
  #onFailureTaken: (() => void) | undefined;
  #isLoading = false;
  #lastPollMs: number;

  constructor(cluster: Cluster, config: ConsumerConfig, host: GroupHost, assignors: readonly Assignor[] = []) {
    this.#cluster = cluster;
    this.#config = config;
    this.#host = host;
    this.#assignors = assignorsOf(config['partition.assignment.strategy'], assignors);
    this.#link = new CoordinatorLink(cluster, config['group.id'], config['session.timeout.ms']);
    this.#gate = new PollGate(() => host.wake());
    this.#lastPollMs = cluster.nowMs();
    this.#commits = new OffsetCommits(cluster, config, {
      link: this.#link,
      identity: () => this.identity,
      holding: (partition) => host.holding(partition),
      onGroupError: (code, identity) => this.#session?.membership.onGroupError(code, identity),
      signal: this.#closing.signal,
    });
    this.#processed = new ProcessedCommits(cluster, config, {
      host,
      commit: (offsets, deadlineMs) => this.commit(offsets, deadlineMs),
      mayCommit: () => !this.isSubscribed || this.identity.generation >= 0,
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
    return !this.#gate.isBusy && !(this.#session?.membership.isLost ?? false);
  }

  /** This partition is about to be given up: nothing of it may be handed out. */
  isHeld(partition: TopicPartition): boolean {
    return this.#session?.handover.isHeld(partition) ?? false;
  }

  /** A rebalance works on the assignment: poll must not return yet. */
  get isBusy(): boolean {
    return this.#gate.isBusy;
  }

  /** The application should come to poll soon, although it still has records: a rebalance waits for it, or a commit is due. */
  get wantsPoll(): boolean {
    const isLost = this.#session?.membership.isLost ?? false;
    const isHolding = this.#session?.handover.isHolding ?? false;
    return isLost || this.#gate.isAwaited || isHolding || this.#processed.isDue;
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
    else session.life.subscriptionChanged('the subscription changed');
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
    this.#failure = undefined;
    const held = this.#host.assignment();
    if (held.length > 0) {
      if (!session.membership.isLost) await this.#processed.beforeRevoke(held, deadlineMs);
      session.membership.checkSilence();
      const { isLost } = session.membership;
      await session.handover.tell(isLost ? 'lost' : 'revoked', held);
      this.#host.replaceAssignment([], isLost ? 'lost' : 'revoked');
    }
    await session.membership.leave('the consumer ends its subscription', deadlineMs - this.#cluster.nowMs());
    session.membership.close(ended);
    this.#session = undefined;
    const failure: KafkaError | undefined = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  async close(timeoutMs: number): Promise<void> {
    const deadlineMs = this.#cluster.nowMs() + timeoutMs;
    try {
      if (this.#session !== undefined) await this.unsubscribe(timeoutMs);
      else if (this.#config['enable.auto.commit']) {
        await this.#processed.beforeRevoke(this.#host.assignment(), deadlineMs);
      }
      await until(this.#cluster, this.#commits.settled(), deadlineMs);
    } finally {
      this.#closing.abort(new IllegalStateError('the consumer is closed'));
      await this.#link.close();
    }
  }

  /** The application is alive: it polls, or takes the next record of an iteration. */
  onActive(): void {
    this.#lastPollMs = this.#cluster.nowMs();
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
    return this.#processed.commitIfDue();
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
      sincePollMs: this.#sincePollMs(),
      sinceHeartbeatMs: generation < 0 ? undefined : this.#session?.membership.silentMs,
      error: this.#failure,
    };
  }

  /** A listener that does not come to an end is no sign of life; waiting for records is. */
  #sincePollMs(): number {
    const nowMs = this.#cluster.nowMs();
    if (this.#gate.isIdle) this.#lastPollMs = nowMs;
    return nowMs - this.#lastPollMs;
  }

  #status(): ConsumerHealth['status'] {
    this.#session?.membership.checkSilence();
    if (this.#closing.signal.aborted) return 'closed';
    if (this.#failure !== undefined) return 'failed';
    if (this.#session === undefined) return 'idle';
    if (this.#session.membership.isLost) return 'lost';
    return this.#session.life.isStable ? 'stable' : 'rebalancing';
  }

  #newSession(): Session {
    const stop = new AbortController();
    const { signal } = stop;
    const topics = new SubscribedTopics(this.#cluster, {
      signal,
      excludeInternal: this.#config['exclude.internal.topics'],
      maxAgeMs: this.#config['metadata.max.age.ms'],
      onChange: (reason) => life.subscriptionChanged(reason),
    });
    const handover: Handover = new Handover(this.#cluster, this.#config, {
      host: this.#host,
      gate: this.#gate,
      commits: this.#processed,
      signal,
      membership: () => life.membership,
      listener: () => session.listener,
      onTaken: () => this.loadCommitted(),
      onFailure: (error) => {
        this.#failure ??= error;
      },
    });
    const sincePollMs = (): number => this.#sincePollMs();
    const parts = { link: this.#link, host: this.#host, handover, topics, sincePollMs, signal };
    const life: MemberLife =
      this.#config['group.protocol'] === 'consumer'
        ? new ServerAssignedLife(this.#cluster, this.#config, parts)
        : new ClassicLife(this.#cluster, this.#config, this.#assignors, parts);
    const session: Session = { life, membership: life.membership, handover, topics, stop, listener: {} };
    return session;
  }

  async #live({ life, handover, membership, stop: { signal } }: Session): Promise<void> {
    let isBegun = false;
    while (!signal.aborted) {
      try {
        // Nothing connects before the first poll.
        if (!isBegun) await handover.enter();
        if (!isBegun) handover.leave();
        isBegun = true;
        await life.round();
      } catch (cause) {
        if (signal.aborted) return;
        await this.#fail(signal, handover, membership, errorFromRpc(cause)).catch(() => undefined);
      }
    }
  }

  async #fail(signal: AbortSignal, handover: Handover, membership: GroupMembership, error: KafkaError): Promise<void> {
    this.#cluster.logger.error(
      { err: error, group: this.#config['group.id'] },
      'the consumer cannot stay in its group',
    );
    this.#failure = error;
    // Without heartbeats the partitions go to others.
    if (this.#host.assignment().length > 0 && !membership.isLost) membership.lose(error.message);
    this.#host.wake();
    await new Promise<void>((resolve) => {
      this.#onFailureTaken = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    // The application polls on: it wants another attempt.
    await handover.enter();
    handover.leave();
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
}

function isOfMembership(error: KafkaError): boolean {
  return error instanceof CommitFailedError || error instanceof RebalanceInProgressError || error.fatal;
}
