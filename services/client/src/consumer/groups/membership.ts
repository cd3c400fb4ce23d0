import { consumerProtocolType, errorCodes } from '@naru/kafka-protocol';
import { groupMethods, type groups } from '@naru/rpc';
import { sleep, type Timer } from '@naru/runtime';
import type { Cluster } from '../../cluster/cluster.ts';
import type { ConsumerConfig } from '../../config.ts';
import { DisconnectError, type KafkaError } from '../../errors.ts';
import { errorFromCode } from '../../errors-from-wire.ts';
import type { CoordinatorLink } from './coordinator-link.ts';
import type { GroupMembership, MemberIdentity } from './group-host.ts';

/** The broker answers a join at the rebalance timeout at the latest; this is for its way. */
const joinGraceMs = 5_000;
/** A heartbeat may wait for news for this part of a session: two that are answered late are far from ending it. */
const waitsPerSession = 6;
/** A member that leaves does not wait long for the answer: the session timeout does the same, later. */
const leaveTimeoutMs = 5_000;

/** What a join needs to know; asked anew for every attempt. */
export interface JoinPlan {
  readonly protocols: readonly { readonly name: string; readonly metadata: Uint8Array }[];
  readonly reason: string;
  /** Asked of the leader: everybody's assignment. */
  assign(
    protocolName: string,
    members: readonly groups.JoinedMember[],
  ): Promise<readonly { readonly memberId: string; readonly assignment: Uint8Array }[]>;
}

export type JoinOutcome =
  | {
      readonly kind: 'joined';
      readonly protocolName: string;
      readonly isLeader: boolean;
      readonly assignment: Uint8Array;
    }
  /** The coordinator does not know the member any more: what it held belongs to others. */
  | { readonly kind: 'lost' };

export interface MembershipParts {
  readonly link: CoordinatorLink;
  /** Since the application was last seen in poll. */
  readonly sincePollMs: () => number;
  /** The group wants the member to join again. */
  readonly onRejoin: (reason: string) => void;
}

/**
 * The member's side of Kafka's classic group protocol: join, sync, heartbeats, leave. Retriable errors are retried for ever. It knows nothing of
 * partitions; `onRejoin` tells when the group wants the member to join again, and `isLost` that it is out and must give up what it has first.
 *
 * Heartbeats go by a timer, whatever the application does. They stop in two cases. The application has not polled for `max.poll.interval.ms`: the
 * member leaves, so that others can do its work. No heartbeat was answered for `session.timeout.ms`: then the coordinator has put the member out, or is
 * about to; the time counts from the moment the last answered heartbeat was sent, which is before the coordinator's own time began, so the member
 * stops first (G1).
 */
export class Membership implements GroupMembership {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #link: CoordinatorLink;
  readonly #onRejoin: (reason: string) => void;
  readonly #sincePollMs: () => number;
  readonly #closing = new AbortController();
  /** Ends the join that is under way, when the membership it stands on has ended. */
  #joining: AbortController | undefined;
  #memberId = '';
  #generation = -1;
  #isLost = false;
  #isEnding = false;
  #fatal: KafkaError | undefined;
  #timer: Timer | undefined;
  /** The epoch of the heartbeat that is sent and not answered. */
  #beatingEpoch: number | undefined;
  #failedBeats = 0;
  #aliveAtMs = 0;
  #life = 0;
  /** Grows with every join and loss: an answer to an older heartbeat says nothing. */
  #epoch = 0;

  constructor(cluster: Cluster, config: ConsumerConfig, parts: MembershipParts) {
    this.#cluster = cluster;
    this.#config = config;
    this.#link = parts.link;
    this.#onRejoin = parts.onRejoin;
    this.#sincePollMs = parts.sincePollMs;
  }

  get identity(): MemberIdentity {
    return {
      memberId: this.#memberId,
      groupInstanceId: this.#config['group.instance.id'],
      generation: this.#generation,
      life: this.#life,
    };
  }

  /** It was in the group and is not any more; `forgetLoss` when what it held has been given up. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Set when another instance took over the `group.instance.id`: this one must never join again. */
  get fatal(): KafkaError | undefined {
    return this.#fatal;
  }

  /**
   * Ends the membership when the coordinator must have ended it. For callers who are about to act on it: a process that was frozen may run them before its
   * timers.
   */
  checkSilence(): void {
    const isOver = this.#generation >= 0 && this.silentMs > this.#config['session.timeout.ms'];
    if (isOver) this.lose('nothing was heard from the coordinator for session.timeout.ms');
  }

  /** Milliseconds since the coordinator is known to have heard of this member. */
  get silentMs(): number {
    return this.#cluster.nowMs() - this.#aliveAtMs;
  }

  forgetLoss(): void {
    this.#isLost = false;
  }

  /** Joins and waits for the assignment. Fails only with what retrying does not help against, or when closed. */
  async join(plan: () => JoinPlan): Promise<JoinOutcome> {
    const joining = new AbortController();
    if (this.#closing.signal.aborted) joining.abort(this.#closing.signal.reason);
    this.#joining = joining;
    this.#watchSilence();
    try {
      for (let attempt = 1; ; attempt++) {
        const outcome = await this.#joinOnce(plan(), attempt).catch((error: KafkaError) => {
          if (this.#isEnding || this.#closing.signal.aborted) throw error;
          if (joining.signal.aborted) return 'again' as const;
          if (!error.retriable) throw error;
          this.#cluster.logger.debug({ err: error, group: this.#config['group.id'] }, 'joining is tried again');
          return 'again' as const;
        });
        if (this.#isLost) return { kind: 'lost' };
        if (outcome === 'at-once') continue;
        if (outcome !== 'again') return outcome;
        const { signal } = this.#callOptions(0);
        await sleep(this.#cluster.runtime.timers, this.#cluster.retryPauseMs(attempt), signal).catch(() => undefined);
        if (this.#isEnding || this.#closing.signal.aborted) throw signal.reason;
        if (this.#isLost) return { kind: 'lost' };
      }
    } finally {
      this.#joining = undefined;
    }
  }

  /** What an answer to a commit or fetch of offsets says about the membership. */
  onGroupError(code: number, identity: MemberIdentity): void {
    if (identity.generation !== this.#generation || identity.memberId !== this.#memberId) return;
    if (code === errorCodes.REBALANCE_IN_PROGRESS) this.#requestRejoin('the group is rebalancing');
    else if (code === errorCodes.FENCED_INSTANCE_ID) this.#fence();
    else if (code === errorCodes.UNKNOWN_MEMBER_ID || code === errorCodes.ILLEGAL_GENERATION) {
      if (code === errorCodes.UNKNOWN_MEMBER_ID) this.#memberId = '';
      this.lose('the group goes on without this member');
    }
  }

  /** Out of the group. Static members say nothing: they are to find their partitions again after a restart (KIP-345). */
  async leave(reason: string, timeoutMs = leaveTimeoutMs): Promise<void> {
    const { memberId, groupInstanceId } = this.identity;
    const isDynamicMember = memberId !== '' && groupInstanceId === '';
    this.#stopHeartbeats();
    this.#epoch++;
    this.#generation = -1;
    this.#memberId = '';
    if (!isDynamicMember || timeoutMs <= 0) return;
    const members = [{ memberId, groupInstanceId: '', reason }];
    const request = { groupId: this.#config['group.id'], members };
    try {
      await this.#link.call(groupMethods.leaveGroup, request, { timeoutMs: Math.min(leaveTimeoutMs, timeoutMs) });
    } catch (error) {
      this.#cluster.logger.debug({ err: error }, 'leaving the group was not confirmed');
    }
  }

  /** Ends a join that is under way. Heartbeats go on: what the member holds is its own until it has given it up. */
  stopJoining(reason: KafkaError): void {
    this.#isEnding = true;
    this.#joining?.abort(reason);
  }

  /** Nothing more is sent. */
  close(reason: KafkaError): void {
    this.#closing.abort(reason);
    this.#joining?.abort(reason);
    this.#stopHeartbeats();
  }

  /** What the member held belongs to others from now on. */
  lose(reason: string): void {
    this.#stopHeartbeats();
    this.#epoch++;
    this.#life++;
    this.#generation = -1;
    this.#isLost = true;
    this.#joining?.abort(new DisconnectError(reason));
    this.#cluster.logger.warn({ group: this.#config['group.id'], reason }, 'out of the group');
    this.#requestRejoin(reason);
  }

  async #joinOnce(plan: JoinPlan, attempt: number): Promise<JoinOutcome | 'again' | 'at-once'> {
    const { config } = this.#cluster;
    const timeoutMs = this.#rebalanceTimeoutMs() + joinGraceMs;
    const sentAtMs = this.#cluster.nowMs();
    const request = {
      groupId: this.#config['group.id'],
      sessionTimeoutMs: this.#config['session.timeout.ms'],
      rebalanceTimeoutMs: this.#rebalanceTimeoutMs(),
      memberId: this.#memberId,
      groupInstanceId: this.#config['group.instance.id'],
      protocolType: consumerProtocolType,
      protocols: [...plan.protocols],
      clientId: config['client.id'],
      reason: attempt === 1 ? plan.reason : `${plan.reason} (attempt ${attempt})`,
      admitWithoutMemberId: false,
    };
    const options = this.#callOptions(timeoutMs);
    const answer = await this.#link.call(groupMethods.joinGroup, request, options);
    // The answer and the news that the membership is over came at the same moment, and the news was read first.
    if (options.signal.aborted) throw options.signal.reason;
    switch (answer.errorCode) {
      case errorCodes.NONE:
        this.#memberId = answer.memberId;
        this.#begin(answer.generationId, sentAtMs);
        return this.#sync(plan, answer);
      case errorCodes.MEMBER_ID_REQUIRED:
        this.#memberId = answer.memberId;
        return 'at-once';
      case errorCodes.UNKNOWN_MEMBER_ID:
        return this.#onUnknownMember();
      case errorCodes.REBALANCE_IN_PROGRESS:
        return 'again';
      case errorCodes.FENCED_INSTANCE_ID:
        throw this.#fence();
      default:
        throw errorFromCode(answer.errorCode, answer.errorMessage);
    }
  }

  async #sync(plan: JoinPlan, joined: groups.JoinGroupResponse): Promise<JoinOutcome | 'again' | 'at-once'> {
    const isLeader = joined.leader === joined.memberId;
    const assignments =
      isLeader && !joined.skipAssignment ? await plan.assign(joined.protocolName, joined.members) : [];
    const request = {
      groupId: this.#config['group.id'],
      generationId: joined.generationId,
      memberId: joined.memberId,
      groupInstanceId: this.#config['group.instance.id'],
      protocolType: consumerProtocolType,
      protocolName: joined.protocolName,
      assignments: [...assignments],
    };
    const timeoutMs = this.#rebalanceTimeoutMs() + joinGraceMs;
    const answer = await this.#link.call(groupMethods.syncGroup, request, this.#callOptions(timeoutMs));
    switch (answer.errorCode) {
      case errorCodes.NONE:
        // A heartbeat may have ended the membership meanwhile.
        if (this.#generation !== joined.generationId) return { kind: 'lost' };
        return { kind: 'joined', protocolName: joined.protocolName, isLeader, assignment: answer.assignment };
      case errorCodes.REBALANCE_IN_PROGRESS:
        this.#watchSilence();
        return 'at-once';
      case errorCodes.UNKNOWN_MEMBER_ID:
        return this.#onUnknownMember();
      case errorCodes.ILLEGAL_GENERATION:
        this.lose('a newer generation of the group exists');
        return { kind: 'lost' };
      case errorCodes.FENCED_INSTANCE_ID:
        throw this.#fence();
      default:
        throw errorFromCode(answer.errorCode, answer.errorMessage);
    }
  }

  #onUnknownMember(): JoinOutcome | 'at-once' {
    this.#memberId = '';
    // An id from the handshake alone holds nothing.
    if (this.#generation < 0) return 'at-once';
    this.lose('the coordinator does not know this member');
    return { kind: 'lost' };
  }

  #fence(): KafkaError {
    const error = errorFromCode(
      errorCodes.FENCED_INSTANCE_ID,
      `another member took over group.instance.id ${this.#config['group.instance.id']}`,
    );
    this.#fatal = error;
    this.lose('another member took over the instance id');
    return error;
  }

  #callOptions(timeoutMs: number): {
    timeoutMs: number;
    signal: AbortSignal;
    onAlive: (askedAtMs: number) => void;
  } {
    const epoch = this.#epoch;
    const onAlive = (askedAtMs: number): void => {
      if (epoch === this.#epoch) this.#aliveAtMs = Math.max(this.#aliveAtMs, askedAtMs);
    };
    const { signal } = this.#joining ?? this.#closing;
    return { timeoutMs, signal, onAlive };
  }

  #rebalanceTimeoutMs(): number {
    const own = this.#config['rebalance.timeout.ms'];
    return own < 0 ? this.#config['max.poll.interval.ms'] : own;
  }

  #requestRejoin(reason: string): void {
    if (this.#joining === undefined) this.#onRejoin(reason);
  }

  // ---- heartbeats

  #begin(generation: number, sentAtMs: number): void {
    this.#epoch++;
    this.#generation = generation;
    this.#isLost = false;
    // The coordinator's own clock for this member began with its answer, so later; probes of a long wait count, too.
    this.#aliveAtMs = Math.max(this.#aliveAtMs, sentAtMs);
    this.#failedBeats = 0;
    // At once, to be told of the next rebalance when it begins.
    this.#schedule(1);
  }

  /** While it joins there are no heartbeats; but what it still holds (cooperative) is its own only as long as the coordinator hears of it. */
  #watchSilence(): void {
    this.#stopHeartbeats();
    if (this.#generation < 0) return;
    const leftMs = this.#aliveAtMs + this.#config['session.timeout.ms'] - this.#cluster.nowMs();
    this.#timer = this.#cluster.runtime.timers.after(Math.max(1, leftMs + 1), () => {
      this.checkSilence();
      if (this.#generation >= 0) this.#watchSilence();
    });
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#cluster.runtime.timers.after(delayMs, () => this.#beat());
  }

  #stopHeartbeats(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #beat(): void {
    const config = this.#config;
    if (this.#sincePollMs() > config['max.poll.interval.ms']) {
      this.#onPollTimeout();
      return;
    }
    this.checkSilence();
    if (this.#generation < 0) return;
    if (this.#beatingEpoch !== this.#epoch) void this.#sendHeartbeat(this.#epoch);
    const untilExpiryMs = this.#aliveAtMs + config['session.timeout.ms'] - this.#cluster.nowMs() + 1;
    const pauseMs =
      this.#failedBeats === 0 ? config['heartbeat.interval.ms'] : this.#cluster.retryPauseMs(this.#failedBeats);
    this.#schedule(Math.max(1, Math.min(pauseMs, untilExpiryMs)));
  }

  #onPollTimeout(): void {
    const reason = 'the application has not polled for max.poll.interval.ms';
    void this.leave(reason);
    this.lose(reason);
  }

  async #sendHeartbeat(epoch: number): Promise<void> {
    const { memberId, groupInstanceId, generation } = this.identity;
    // The coordinator holds its answer back so long, to tell of a rebalance when it begins.
    const maxWaitMs = Math.floor(
      Math.min(this.#config['heartbeat.interval.ms'], this.#config['session.timeout.ms'] / waitsPerSession),
    );
    const claim = { groupId: this.#config['group.id'], generationId: generation, memberId, groupInstanceId };
    const sentAtMs = this.#cluster.nowMs();
    // Two or three attempts fit into a session.
    const timeoutMs = Math.min(this.#cluster.config['request.timeout.ms'], this.#config['session.timeout.ms'] / 3);
    this.#beatingEpoch = epoch;
    try {
      // Its own answer alone says that the coordinator heard of this member; a probe of the wait is none of its heartbeats.
      const { signal } = this.#callOptions(timeoutMs);
      const answer = await this.#link.call(groupMethods.heartbeat, { ...claim, maxWaitMs }, { timeoutMs, signal });
      if (epoch !== this.#epoch) return;
      this.#failedBeats = 0;
      this.#onHeartbeatAnswer(answer, sentAtMs);
    } catch (error) {
      if (epoch !== this.#epoch || this.#closing.signal.aborted) return;
      this.#failedBeats++;
      this.#cluster.logger.debug({ err: error }, 'a heartbeat was not answered');
      if (this.#timer !== undefined) this.#schedule(this.#cluster.retryPauseMs(this.#failedBeats));
    } finally {
      if (this.#beatingEpoch === epoch) this.#beatingEpoch = undefined;
    }
  }

  #onHeartbeatAnswer(answer: groups.HeartbeatResponse, sentAtMs: number): void {
    switch (answer.errorCode) {
      case errorCodes.NONE:
        this.#aliveAtMs = sentAtMs;
        // Its wait was the pause between two.
        this.#schedule(Math.max(1, sentAtMs + this.#config['heartbeat.interval.ms'] - this.#cluster.nowMs()));
        return;
      case errorCodes.REBALANCE_IN_PROGRESS:
        this.#aliveAtMs = sentAtMs;
        this.#requestRejoin('the group is rebalancing');
        return;
      case errorCodes.UNKNOWN_MEMBER_ID:
      case errorCodes.ILLEGAL_GENERATION:
      case errorCodes.FENCED_INSTANCE_ID:
        this.onGroupError(answer.errorCode, this.identity);
        return;
      default:
        this.#cluster.logger.warn({ code: answer.errorCode }, 'a heartbeat was refused');
    }
  }
}
