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
/** A fetch that waits at the leader, and one that ends its wait for the sake of a partition that joined. */
const inFlightMax = 2;

interface Assignment {
  readonly partition: Partition;
  readonly term: FollowerTerm;
  /** Not to be fetched before; the leader refused, or is not yet what the metadata says. */
  notBeforeMs: number;
  failures: number;
  /** A truncation is under way. */
  isBusy: boolean;
}

interface InFlight {
  readonly correlationId: number;
  /** Where each partition was asked from: an answer counts only when the log still ends there. */
  readonly offsets: ReadonlyMap<Assignment, number>;
}

type FetchStream = RpcStream<replication.ReplicaFetchRequest, replication.ReplicaFetchResponse>;

/**
 * Everything that this broker follows of one leader, over one stream. A fetch names all partitions and waits at the leader until one of them has
 * something new; the answer is appended, and the next fetch leaves at once, while the sync of what was just appended runs. When
 * a sync is done, a report without a fetch tells the leader, so that its high watermark waits for a disk and never for a long poll.
 */
export class ReplicaFetcher {
  readonly #options: ReplicaFetcherOptions;
  readonly #assignments = new Map<Partition, Assignment>();
  readonly #byTopicId = new Map<string, Map<number, Assignment>>();
  readonly #flushed = new Set<Assignment>();
  #leader: LeaderAddress | undefined;
  #channel: RpcChannel | undefined;
  #stream: FetchStream | undefined;
  /** Grows with each attempt to connect: events of an older one are nobody's. */
  #attempt = 0;
  #isConnecting = false;
  #failures = 0;
  #inFlight: InFlight[] = [];
  #nextCorrelationId = 1;
  #firstInOrder = 0;
  #retry: { readonly timer: Timer; readonly atMs: number } | undefined;
  #isClosed = false;

  constructor(options: ReplicaFetcherOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#assignments.size === 0;
  }

  add(partition: Partition, term: FollowerTerm): void {
    const assignment: Assignment = { partition, term, notBeforeMs: 0, failures: 0, isBusy: false };
    this.#assignments.set(partition, assignment);
    const topic = this.#byTopicId.get(partition.topicId) ?? new Map<number, Assignment>();
    this.#byTopicId.set(partition.topicId, topic.set(partition.index, assignment));
    this.#options.turnEnd.schedule(this.#fetchSoon);
  }

  remove(partition: Partition): void {
    const assignment = this.#assignments.get(partition);
    if (assignment === undefined) return;
    this.#assignments.delete(partition);
    this.#flushed.delete(assignment);
    const topic = this.#byTopicId.get(partition.topicId);
    topic?.delete(partition.index);
    if (topic?.size === 0) this.#byTopicId.delete(partition.topicId);
  }

  /** Undefined: it is not registered. Another incarnation is another address, even when it looks the same. */
  setLeader(leader: LeaderAddress | undefined): void {
    const before = this.#leader;
    this.#leader = leader;
    if (before?.brokerEpoch === leader?.brokerEpoch) return;
    this.#disconnect();
    this.#failures = 0;
    this.#options.turnEnd.schedule(this.#fetchSoon);
  }

  /** A sync made more of the partition durable: the leader is told once for all partitions of this turn. */
  reportFlushed(partition: Partition): void {
    const assignment = this.#assignments.get(partition);
    if (assignment === undefined) return;
    this.#flushed.add(assignment);
    this.#options.turnEnd.schedule(this.#sendReport);
  }

  close(): void {
    this.#isClosed = true;
    this.#disconnect();
    this.#assignments.clear();
    this.#byTopicId.clear();
    this.#flushed.clear();
  }

  // Asking.

  readonly #fetchSoon = (): void => {
    if (this.#isClosed || this.isEmpty || this.#leader === undefined) return;
    if (this.#stream === undefined) this.#connect();
    else if (this.#inFlight.length < inFlightMax) this.#fetch();
  };

  /** What is not ready now comes with a fetch of its own as soon as it is. */
  #fetch(): void {
    const self = this.#options.self();
    if (self === undefined || this.#stream === undefined) return;
    const nowMs = this.#options.clock.monotonicMs();
    const offsets = new Map<Assignment, number>();
    const partitions: replication.ReplicaPartitionFetch[] = [];
    let wakeAtMs = Number.POSITIVE_INFINITY;
    for (const assignment of this.#inOrder()) {
      if (assignment.isBusy) continue;
      if (assignment.notBeforeMs > nowMs) {
        wakeAtMs = Math.min(wakeAtMs, assignment.notBeforeMs);
        continue;
      }
      const position = this.#positionOf(assignment);
      offsets.set(assignment, position.fetchOffset);
      partitions.push(position);
      this.#flushed.delete(assignment);
    }
    if (wakeAtMs < Number.POSITIVE_INFINITY) this.#retryAt(wakeAtMs);
    if (partitions.length === 0) return;
    const correlationId = this.#nextCorrelationId++;
    this.#inFlight.push({ correlationId, offsets });
    this.#stream.send({
      correlationId,
      replicaId: self.brokerId,
      brokerEpoch: self.brokerEpoch,
      wantData: true,
      maxWaitMs: this.#options.config.waitMaxMs,
      maxBytes: this.#options.config.responseBytesMax,
      partitions,
    });
  }

  /** Each fetch begins with another partition, so that none starves behind those that fill the answer. */
  *#inOrder(): Iterable<Assignment> {
    const all = [...this.#assignments.values()];
    const first = this.#firstInOrder++ % Math.max(1, all.length);
    for (let i = 0; i < all.length; i++) yield all[(first + i) % all.length] as Assignment;
  }

  #positionOf({ partition, term }: Assignment): replication.ReplicaPartitionFetch {
    const { log } = partition;
    return {
      topicId: partition.topicId,
      partition: partition.index,
      leaderEpoch: term.leaderEpoch,
      fetchOffset: log.logEndOffset,
      flushedOffset: Math.min(log.flushedOffset, log.logEndOffset),
      logStartOffset: log.logStartOffset,
      lastFetchedEpoch: log.latestEpoch,
      maxBytes: this.#options.config.partitionBytesMax,
    };
  }

  readonly #sendReport = (): void => {
    const self = this.#options.self();
    if (this.#flushed.size === 0 || self === undefined || this.#stream === undefined) return;
    const partitions: replication.ReplicaPartitionFetch[] = [];
    for (const assignment of this.#flushed) {
      if (!assignment.isBusy) partitions.push(this.#positionOf(assignment));
    }
    this.#flushed.clear();
    if (partitions.length === 0) return;
    this.#stream.send({
      correlationId: 0,
      replicaId: self.brokerId,
      brokerEpoch: self.brokerEpoch,
      wantData: false,
      maxWaitMs: 0,
      maxBytes: 0,
      partitions,
    });
  };

  // Answers.

  #answered(response: replication.ReplicaFetchResponse): void {
    const inFlight = this.#inFlight.shift();
    if (inFlight?.correlationId !== response.correlationId) {
      this.#options.logger.warn({ leader: this.#options.leaderId }, 'an answer to no fetch; connecting anew');
      this.#failed();
      return;
    }
    if (response.errorCode !== errorCodes.NONE) {
      // The leader has not heard of this incarnation yet, or has heard of a newer one.
      this.#options.logger.debug({ leader: this.#options.leaderId, code: response.errorCode }, 'replica fetch refused');
      this.#failed();
      return;
    }
    this.#failures = 0;
    for (const answer of response.partitions) {
      const assignment = this.#byTopicId.get(answer.topicId)?.get(answer.partition);
      const fetchOffset = assignment === undefined ? undefined : inFlight.offsets.get(assignment);
      if (assignment !== undefined && fetchOffset !== undefined) this.#take(assignment, fetchOffset, answer);
    }
    if (this.#inFlight.length === 0) this.#fetchSoon();
  }

  #take(assignment: Assignment, fetchOffset: number, answer: replication.ReplicaPartitionFetched): void {
    const { partition, term } = assignment;
    if (partition.log.logEndOffset !== fetchOffset || assignment.isBusy) return;
    switch (answer.errorCode) {
      case errorCodes.NONE:
        break;
      case errorCodes.OFFSET_OUT_OF_RANGE:
        this.#truncate(assignment, partition.startOverAt(term, answer.logStartOffset));
        return;
      default:
        this.#refused(assignment, answer.errorCode);
        return;
    }
    if (answer.diverging) {
      const { divergingEpoch, divergingEndOffset } = answer;
      this.#truncate(
        assignment,
        partition.truncateAtDivergence(term, { epoch: divergingEpoch, endOffset: divergingEndOffset }),
      );
      return;
    }
    const outcome = partition.replicate(term, fetchOffset, answer);
    if (outcome === 'refused' || outcome === 'storage-failed') this.#refused(assignment, undefined);
    else assignment.failures = 0;
  }

  #truncate(assignment: Assignment, truncation: Promise<void>): void {
    assignment.isBusy = true;
    truncation.then(
      () => {
        assignment.isBusy = false;
        if (this.#assignments.get(assignment.partition) === assignment) this.#options.turnEnd.schedule(this.#fetchSoon);
      },
      (error: unknown) => {
        assignment.isBusy = false;
        this.#options.logger.error({ topic: assignment.partition.topic, error }, 'could not cut the log');
        this.#refused(assignment, undefined);
      },
    );
  }

  #refused(assignment: Assignment, code: number | undefined): void {
    const { partition, term } = assignment;
    this.#options.logger.debug({ topic: partition.topic, partition: partition.index, ...term, code }, 'not fetched');
    assignment.notBeforeMs = this.#options.clock.monotonicMs() + this.#backoffMs(assignment.failures++);
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
    this.#fetchSoon();
  }

  /** Starts over with a new connection, after a pause that grows. */
  #failed(): void {
    this.#disconnect();
    this.#retryAt(this.#options.clock.monotonicMs() + this.#backoffMs(this.#failures++));
  }

  #disconnect(): void {
    this.#attempt++;
    this.#isConnecting = false;
    this.#inFlight = [];
    this.#flushed.clear();
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
      this.#fetchSoon();
    });
    this.#retry = { timer, atMs };
  }
}
