import { errorCodes } from '@naru/kafka-protocol';
import { groupMethods, type groups } from '@naru/rpc';
import { sleep } from '@naru/runtime';
import type { Cluster } from '../../cluster/cluster.ts';
import type { ConsumerConfig } from '../../config.ts';
import { channels } from '../../diagnostics/channels.ts';
import {
  CommitFailedError,
  IllegalStateError,
  type KafkaError,
  RebalanceInProgressError,
  RetriableError,
  TimeoutError,
} from '../../errors.ts';
import { errorFromCode } from '../../errors-from-wire.ts';
import type { TopicPartition } from '../../topic-partition.ts';
import type { CoordinatorLink } from './coordinator-link.ts';
import type { MemberIdentity } from './group-host.ts';

/** An offset to keep for the group: that of the next record to read. */
export interface OffsetToCommit extends TopicPartition {
  readonly offset: bigint | number;
  /** Epoch of the last record that was processed, so that a log that was cut is noticed (KIP-320); left out: not known. */
  readonly leaderEpoch?: number | undefined;
  readonly metadata?: string | undefined;
}

/** What the group has for a partition; `offset` undefined: nothing. */
export interface CommittedOffset extends TopicPartition {
  readonly offset: bigint | undefined;
  readonly leaderEpoch: number | undefined;
  readonly metadata: string;
}

export interface OffsetCommitsParts {
  readonly link: CoordinatorLink;
  readonly identity: () => MemberIdentity;
  /** Stands for the time that the consumer holds the partition without a break; undefined: it does not hold it. */
  readonly holding: (partition: TopicPartition) => object | undefined;
  /** An answer says something about the membership. */
  readonly onGroupError: (code: number, identity: MemberIdentity) => void;
  readonly signal: AbortSignal;
}

/** What a commit was asked for in. */
interface Asked {
  readonly identity: MemberIdentity;
  readonly holdings: readonly (object | undefined)[];
}

/** Commits that wait for their turn. A caller that commits faster than the group answers must hear of it. */
const waitingCommitsMax = 10_000;

/**
 * Writes and reads a group's offsets. Commits leave one after the other in the order of the calls, so that an older one never overtakes a newer one, also
 * when it has to be tried again. Each carries the membership in which it was asked for: when the group has rebalanced since, it fails instead
 * of writing over the offsets of the partition's new owner (row 49).
 */
export class OffsetCommits {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #parts: OffsetCommitsParts;
  #tail: Promise<void> = Promise.resolve();
  #waitingCount = 0;

  constructor(cluster: Cluster, config: ConsumerConfig, parts: OffsetCommitsParts) {
    this.#cluster = cluster;
    this.#config = config;
    this.#parts = parts;
  }

  /**
   * Tries again what is retriable until `deadlineMs` (monotonic). Fails with `CommitFailedError` (the partitions have another owner),
   * `RebalanceInProgressError` (poll, then commit again), `FencedInstanceIdError`, `TimeoutError`, or what the broker said of a partition.
   */
  async commit(offsets: readonly OffsetToCommit[], deadlineMs: number): Promise<void> {
    const request = offsets.map(wireOffset);
    if (request.length === 0) return this.#tail;
    if (this.#waitingCount >= waitingCommitsMax) {
      throw new IllegalStateError(`${waitingCommitsMax} commits are waiting to be answered`);
    }
    const asked = { identity: this.#parts.identity(), holdings: offsets.map(this.#parts.holding) };
    const sinceMs = this.#cluster.runtime.clock.wallMs();
    this.#waitingCount++;
    const done = this.#tail.then(() => this.#commitUntil(request, asked, deadlineMs));
    const onSettled = (error?: unknown): void => {
      this.#waitingCount--;
      if (!channels.commit.hasSubscribers) return;
      const { 'client.id': clientId, 'group.id': groupId } = this.#config;
      channels.commit.publish({ clientId, groupId, offsets, sinceMs, error });
    };
    this.#tail = done.then(() => onSettled(), onSettled);
    return done;
  }

  /** Resolves when every commit that was asked for has ended. */
  settled(): Promise<void> {
    return this.#tail;
  }

  /** In the order asked for. Tries again what is retriable until `deadlineMs`. */
  async fetch(partitions: readonly TopicPartition[], deadlineMs: number): Promise<CommittedOffset[]> {
    for (let attempt = 1; ; attempt++) {
      const identity = this.#parts.identity();
      try {
        return await this.#fetchOnce(partitions, identity, deadlineMs);
      } catch (cause) {
        const error = cause as KafkaError;
        const pauseMs = this.#cluster.retryPauseMs(attempt);
        if (!error.retriable || this.#cluster.nowMs() + pauseMs >= deadlineMs) throw error;
        await sleep(this.#cluster.runtime.timers, pauseMs, this.#parts.signal);
      }
    }
  }

  async #commitUntil(offsets: groups.CommittedOffset[], asked: Asked, deadlineMs: number): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const identity = this.#currentOf(asked, offsets);
      try {
        return await this.#commitOnce(offsets, identity, deadlineMs);
      } catch (cause) {
        const error = cause as KafkaError;
        const pauseMs = this.#cluster.retryPauseMs(attempt);
        if (!error.retriable || error instanceof CommitFailedError) throw error;
        if (this.#cluster.nowMs() + pauseMs >= deadlineMs) {
          throw new TimeoutError(`the offsets were not committed in time: ${error.message}`, { cause: error });
        }
        await sleep(this.#cluster.runtime.timers, pauseMs, this.#parts.signal);
      }
    }
  }

  /**
   * Fails when the member has been put out since, also when it is back: a follower that joins again with nothing new gets the generation that it was in, has
   * begun at what was committed then, and would be put before its own beginning. Fails in a newer generation, too; but a member's epoch (KIP-848) moves on while
   * it keeps its partitions: what they are committed with is the newest. Not of one that it gave up and has again: another member may have read on meanwhile.
   */
  #currentOf({ identity: asked, holdings }: Asked, offsets: readonly TopicPartition[]): MemberIdentity {
    const current = this.#parts.identity();
    const isSame = current.memberId === asked.memberId && current.life === asked.life;
    if (asked.memberId !== '' && (current.generation < 0 || !isSame)) throw commitFailed();
    if (current.generation === asked.generation) return asked;
    if (this.#config['group.protocol'] !== 'consumer' || asked.memberId === '') throw rebalancing();
    const isHeld = offsets.every((offset, index) => {
      const holding = this.#parts.holding(offset);
      return holding !== undefined && holding === holdings[index];
    });
    if (!isHeld) throw commitFailed();
    return current;
  }

  async #commitOnce(offsets: groups.CommittedOffset[], identity: MemberIdentity, deadlineMs: number): Promise<void> {
    const { memberId, groupInstanceId, generation } = identity;
    const groupId = this.#config['group.id'];
    const request = { groupId, generationId: generation, memberId, groupInstanceId, offsets };
    const answer = await this.#parts.link.call(groupMethods.offsetCommit, request, this.#callOptions(deadlineMs));
    this.#checkGroup(answer, identity);
    for (const { topic, partition, errorCode } of answer.offsets) {
      if (errorCode === 0) continue;
      const error = errorFromCode(errorCode, '', { topic, partition });
      // Waiting does not help against a partition that does not exist.
      if (errorCode !== errorCodes.UNKNOWN_TOPIC_OR_PARTITION) throw error;
      throw new CommitFailedError(error.message, { topic, partition, code: errorCode });
    }
  }

  async #fetchOnce(
    partitions: readonly TopicPartition[],
    identity: MemberIdentity,
    deadlineMs: number,
  ): Promise<CommittedOffset[]> {
    const request = {
      groupId: this.#config['group.id'],
      memberId: identity.generation < 0 ? '' : identity.memberId,
      generationId: identity.generation,
      partitions: partitions.map(({ topic, partition }) => ({ topic, partition })),
      allPartitions: false,
      requireStable: this.#config['isolation.level'] === 'read_committed',
    };
    const answer = await this.#parts.link.call(groupMethods.offsetFetch, request, this.#callOptions(deadlineMs));
    this.#checkGroup(answer, identity);
    const found = new Map(answer.offsets.map((offset) => [`${offset.topic}/${offset.partition}`, offset]));
    return partitions.map(({ topic, partition }) => {
      const offset = found.get(`${topic}/${partition}`);
      if (offset !== undefined && offset.errorCode !== 0)
        throw errorFromCode(offset.errorCode, '', { topic, partition });
      return committedOffset({ topic, partition }, offset);
    });
  }

  #checkGroup(answer: { readonly errorCode: number; readonly errorMessage: string }, identity: MemberIdentity): void {
    if (answer.errorCode === 0) return;
    this.#parts.onGroupError(answer.errorCode, identity);
    switch (answer.errorCode) {
      case errorCodes.REBALANCE_IN_PROGRESS:
        throw rebalancing();
      case errorCodes.STALE_MEMBER_EPOCH:
        // The answer to a heartbeat is on its way.
        throw new RetriableError("the member's epoch has moved on", { code: answer.errorCode });
      case errorCodes.UNKNOWN_MEMBER_ID:
      case errorCodes.ILLEGAL_GENERATION:
        throw commitFailed(answer.errorCode);
      default:
        throw errorFromCode(answer.errorCode, answer.errorMessage);
    }
  }

  #callOptions(deadlineMs: number): { timeoutMs: number; signal: AbortSignal } {
    const leftMs = deadlineMs - this.#cluster.nowMs();
    return {
      timeoutMs: Math.max(1, Math.min(leftMs, this.#cluster.config['request.timeout.ms'])),
      signal: this.#parts.signal,
    };
  }
}

function commitFailed(code?: number): KafkaError {
  const message = 'the partitions belong to other members of the group by now; the offsets were not committed';
  return new CommitFailedError(message, { code });
}

function rebalancing(): KafkaError {
  return new RebalanceInProgressError(
    'the group is rebalancing; the offsets were not committed: poll, then commit again',
  );
}

/** Throws `IllegalStateError` for what is no offset. */
export function wireOffset(given: OffsetToCommit): groups.CommittedOffset {
  const { topic, partition, leaderEpoch, metadata } = given;
  const offset = Number(given.offset);
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new IllegalStateError(`${given.offset} is not an offset`, { topic, partition });
  }
  if (!Number.isSafeInteger(partition) || partition < 0) {
    throw new IllegalStateError(`${partition} is not a partition`, { topic });
  }
  return { topic, partition, offset, leaderEpoch: leaderEpoch ?? -1, metadata: metadata ?? '' };
}

function committedOffset(partition: TopicPartition, found: groups.FetchedOffset | undefined): CommittedOffset {
  if (found === undefined || found.offset < 0) {
    return { ...partition, offset: undefined, leaderEpoch: undefined, metadata: '' };
  }
  const leaderEpoch = found.leaderEpoch < 0 ? undefined : found.leaderEpoch;
  return { ...partition, offset: BigInt(found.offset), leaderEpoch, metadata: found.metadata };
}
