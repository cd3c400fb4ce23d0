import { errorCodes } from '@naru/kafka-protocol';
import type { Logger } from '@naru/observability';
import { type Rpc, type RpcChannel, type RpcStream, type replication, replicationMethods } from '@naru/rpc';
import type { Address, Clock, Random, Timer, Timers } from '@naru/runtime';
import type { Member } from '../cluster/partition-state.ts';
import type { FollowerTerm } from './core/partition-state-machine.ts';
import type { Partition } from './partition.ts';
import type { TurnEnd } from './turn-end.ts';

export interface ReplicaFetcherConfig {
  /** Bytes of one partition in an answer. */
  readonly partitionBytesMax: number;
  readonly responseBytesMax: number;
  readonly waitMaxMs: number;
  /** Longest pause after a failure. */
  readonly backoffMaxMs: number;
}

export interface ReplicaFetcherOptions {
  readonly leaderId: number;
  readonly self: () => Member | undefined;
  readonly rpc: Rpc;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly turnEnd: TurnEnd;
  readonly config: ReplicaFetcherConfig;
  readonly logger: Logger;
}

/** Where the leader is reached, and which incarnation of it is there. */
export interface LeaderAddress {
  readonly address: Address;
  readonly brokerEpoch: number;
}

const backoffMinMs = 20;

interface Assignment {
  readonly partition: Partition;
  readonly term: FollowerTerm;
  /** The leader's session has it, or has just refused it. */
  isInSession: boolean;
  /** Not to be fetched before; the leader refused, or is not yet what the metadata says. */
  notBeforeMs: number;
  failures: number;
  /** A truncation is under way. */
  isBusy: boolean;
}

type FetchStream = RpcStream<replication.ReplicaFetchRequest, replication.ReplicaFetchResponse>;

/**
 * Everything that this broker follows of one leader, over one stream, whose session the leader keeps (`ReplicaFetchSession` has the invariant). One fetch
 * waits at the leader until something is new; the answer is appended, and the next fetch leaves at once with the new positions, while the sync of what
 * was just appended runs. What changes meanwhile (a sync is done, a partition comes or goes) is told without a fetch, so that the leader's high watermark
 * waits for a disk and never for a long poll.
 *
 * Each request carries all that has changed since the one before: whoever touches an assignment puts it into `#changed` in the same turn.
 */
export class ReplicaFetcher {
  readonly #options: ReplicaFetcherOptions;
  readonly #assignments = new Map<Partition, Assignment>();
  readonly #byTopicId = new Map<string, Map<number, Assignment>>();
  /** What the leader must be told of. */
  readonly #changed = new Set<Assignment>();
  /** Were in the session and are not followed any more. */
  #forgotten: replication.ReplicaPartition[] = [];
  readonly #backingOff = new Set<Assignment>();
  #leader: LeaderAddress | undefined;
  #channel: RpcChannel | undefined;
  #stream: FetchStream | undefined;
  /** Grows with each attempt to connect: events of an older one are nobody's. */
  #attempt = 0;
  #isConnecting = false;
  #failures = 0;
  /** A fetch waits for its answer. */
  #isWaiting = false;
  #retry: { readonly timer: Timer; readonly atMs: number } | undefined;
  #isClosed = false;

  constructor(options: ReplicaFetcherOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#assignments.size === 0;
  }

  add(partition: Partition, term: FollowerTerm): void {
    const assignment = { partition, term, isInSession: false, notBeforeMs: 0, failures: 0, isBusy: false };
    this.#assignments.set(partition, assignment);
    const topic = this.#byTopicId.get(partition.topicId) ?? new Map<number, Assignment>();
    this.#byTopicId.set(partition.topicId, topic.set(partition.index, assignment));
    this.#tellOf(assignment);
  }

  remove(partition: Partition): void {
    const assignment = this.#assignments.get(partition);
    if (assignment === undefined) return;
    this.#assignments.delete(partition);
    this.#changed.delete(assignment);
    this.#backingOff.delete(assignment);
    const { topicId, index } = partition;
    const topic = this.#byTopicId.get(topicId);
    topic?.delete(index);
    if (topic?.size === 0) this.#byTopicId.delete(topicId);
    if (!assignment.isInSession) return;
    this.#forgotten.push({ topicId, partition: index });
    this.#options.turnEnd.schedule(this.#tell);
  }

  /** Undefined: it is not registered. Another incarnation is another address, even when it looks the same. */
  setLeader(leader: LeaderAddress | undefined): void {
    const before = this.#leader;
    this.#leader = leader;
    if (before?.brokerEpoch === leader?.brokerEpoch) return;
    this.#disconnect();
    this.#failures = 0;
    this.#options.turnEnd.schedule(this.#tell);
  }

  /** A sync made more of the partition durable, or its log start moved: the leader is told once for all partitions of this turn. */
  reportMoved(partition: Partition): void {
    const assignment = this.#assignments.get(partition);
    if (assignment !== undefined) this.#tellOf(assignment);
  }

  close(): void {
    this.#isClosed = true;
    this.#disconnect();
    this.#assignments.clear();
    this.#byTopicId.clear();
    this.#changed.clear();
    this.#backingOff.clear();
  }

  // Asking.

  #tellOf(assignment: Assignment): void {
    this.#changed.add(assignment);
    this.#options.turnEnd.schedule(this.#tell);
  }

  readonly #tell = (): void => {
    if (this.#isClosed || this.isEmpty || this.#leader === undefined) return;
    if (this.#stream === undefined) this.#connect();
    else this.#send(this.#stream);
  };

  /** What has changed; and a fetch, unless one is waiting. */
  #send(stream: FetchStream): void {
    const self = this.#options.self();
    if (self === undefined) return;
    const { waitMaxMs, responseBytesMax, partitionBytesMax } = this.#options.config;
    const forgotten = this.#forgotten;
    const partitions: replication.ReplicaPartitionFetch[] = [];
    const nowMs = this.#options.clock.monotonicMs();
    for (const assignment of this.#changed) {
      const isWanted = !assignment.isBusy && assignment.notBeforeMs <= nowMs;
      if (isWanted) partitions.push(positionOf(assignment));
      else if (assignment.isInSession) forgotten.push(nameOf(assignment));
      assignment.isInSession = isWanted;
    }
    this.#changed.clear();
    this.#forgotten = [];
    if (this.#isWaiting && partitions.length === 0 && forgotten.length === 0) return;
    stream.send({
      replicaId: self.brokerId,
      brokerEpoch: self.brokerEpoch,
      wantData: !this.#isWaiting,
      maxWaitMs: waitMaxMs,
      maxBytes: responseBytesMax,
      partitionMaxBytes: partitionBytesMax,
      forgotten,
      partitions,
    });
    this.#isWaiting = true;
  }

  // Answers.

  #answered({ partitions }: replication.ReplicaFetchResponse): void {
    this.#isWaiting = false;
    this.#failures = 0;
    for (const answer of partitions) {
      const assignment = this.#byTopicId.get(answer.topicId)?.get(answer.partition);
      // Of another epoch: this one was never told, or is told next.
      if (assignment?.term.leaderEpoch === answer.leaderEpoch) this.#take(assignment, answer);
    }
    this.#tell();
  }

  #take(assignment: Assignment, answer: replication.ReplicaPartitionFetched): void {
    const { partition, term } = assignment;
    const { errorCode, diverging } = answer;
    if (errorCode !== errorCodes.NONE || diverging !== undefined) assignment.isInSession = false;
    if (partition.log.logEndOffset !== answer.fetchOffset || assignment.isBusy) {
      // Not where it was when it asked: the leader hears where it is.
      this.#changed.add(assignment);
    } else if (errorCode === errorCodes.OFFSET_OUT_OF_RANGE) {
      this.#truncate(assignment, partition.startOverAt(term, answer.logStartOffset));
    } else if (errorCode !== errorCodes.NONE) {
      this.#refused(assignment, errorCode);
    } else if (diverging !== undefined) {
      this.#truncate(assignment, partition.truncateAtDivergence(term, diverging));
    } else if (partition.replicate(term, answer.fetchOffset, answer) !== 'appended') {
      this.#refused(assignment, undefined);
    } else {
      assignment.failures = 0;
      // News of the high watermark alone move nothing here.
      if (answer.records.length > 0) this.#changed.add(assignment);
    }
  }

  #truncate(assignment: Assignment, truncation: Promise<void>): void {
    assignment.isBusy = true;
    truncation.then(
      () => {
        assignment.isBusy = false;
        if (this.#assignments.get(assignment.partition) === assignment) this.#tellOf(assignment);
      },
      (error: unknown) => {
        assignment.isBusy = false;
        this.#options.logger.error({ topic: assignment.partition.topic, error }, 'could not cut the log');
        this.#refused(assignment, undefined);
      },
    );
  }

  /** Leaves the session for a while. */
  #refused(assignment: Assignment, code: number | undefined): void {
    const { partition, term } = assignment;
    if (this.#assignments.get(partition) !== assignment) return;
    this.#options.logger.debug({ topic: partition.topic, partition: partition.index, ...term, code }, 'not fetched');
    assignment.notBeforeMs = this.#options.clock.monotonicMs() + this.#backoffMs(assignment.failures++);
    this.#backingOff.add(assignment);
    this.#tellOf(assignment);
    this.#retryAt(assignment.notBeforeMs);
  }

  // The connection.

  #connect(): void {
    const leader = this.#leader;
    if (leader === undefined || this.#isConnecting || this.#retry !== undefined) return;
    this.#isConnecting = true;
    const attempt = ++this.#attempt;
    this.#options.rpc.connect(leader.address).then(
      (channel) => {
        if (attempt !== this.#attempt) {
          void channel.close();
          return;
        }
        this.#isConnecting = false;
        this.#open(channel, attempt);
      },
      (error: unknown) => {
        if (attempt !== this.#attempt) return;
        this.#isConnecting = false;
        this.#options.logger.debug({ leader: this.#options.leaderId, error }, 'the leader cannot be reached');
        this.#failed();
      },
    );
  }

  #open(channel: RpcChannel, attempt: number): void {
    const stream = channel.open(replicationMethods.fetch);
    stream.handle({
      onMessage: (response) => {
        if (attempt === this.#attempt) this.#answered(response);
      },
      onClose: (error) => {
        if (attempt !== this.#attempt) return;
        this.#options.logger.debug({ leader: this.#options.leaderId, error }, 'the stream of the leader ended');
        this.#failed();
      },
    });
    this.#channel = channel;
    this.#stream = stream;
    for (const assignment of this.#assignments.values()) this.#changed.add(assignment);
    this.#endBackoff();
    this.#tell();
  }

  /** Starts over with a new connection, after a pause that grows. */
  #failed(): void {
    this.#disconnect();
    this.#retryAt(this.#options.clock.monotonicMs() + this.#backoffMs(this.#failures++));
  }

  #disconnect(): void {
    this.#attempt++;
    this.#isConnecting = false;
    this.#isWaiting = false;
    this.#forgotten = [];
    for (const assignment of this.#assignments.values()) assignment.isInSession = false;
    const channel = this.#channel;
    this.#channel = undefined;
    this.#stream = undefined;
    this.#retry?.timer.cancel();
    this.#retry = undefined;
    void channel?.close();
  }

  #backoffMs(failures: number): number {
    const full = Math.min(this.#options.config.backoffMaxMs, backoffMinMs * 2 ** Math.min(failures, 16));
    return full * (0.75 + 0.25 * this.#options.random.nextFloat());
  }

  #retryAt(atMs: number): void {
    if (this.#isClosed || (this.#retry !== undefined && this.#retry.atMs <= atMs)) return;
    this.#retry?.timer.cancel();
    const timer = this.#options.timers.after(Math.max(0, atMs - this.#options.clock.monotonicMs()), () => {
      this.#retry = undefined;
      this.#endBackoff();
      this.#tell();
    });
    this.#retry = { timer, atMs };
  }

  #endBackoff(): void {
    const nowMs = this.#options.clock.monotonicMs();
    let nextAtMs = Number.POSITIVE_INFINITY;
    for (const assignment of this.#backingOff) {
      if (assignment.notBeforeMs > nowMs) nextAtMs = Math.min(nextAtMs, assignment.notBeforeMs);
      else {
        this.#backingOff.delete(assignment);
        this.#changed.add(assignment);
      }
    }
    if (nextAtMs < Number.POSITIVE_INFINITY) this.#retryAt(nextAtMs);
  }
}

function nameOf({ partition }: Assignment): replication.ReplicaPartition {
  return { topicId: partition.topicId, partition: partition.index };
}

function positionOf({ partition, term }: Assignment): replication.ReplicaPartitionFetch {
  const { log, topicId, index } = partition;
  return {
    topicId,
    partition: index,
    leaderEpoch: term.leaderEpoch,
    fetchOffset: log.logEndOffset,
    flushedOffset: Math.min(log.flushedOffset, log.logEndOffset),
    lastFetchedEpoch: log.latestEpoch,
    logStartOffset: log.logStartOffset,
  };
}
