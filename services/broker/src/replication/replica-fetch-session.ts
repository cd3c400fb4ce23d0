import { errorCodes } from '@naru/kafka-protocol';
import type { replication } from '@naru/rpc';
import type { Clock } from '@naru/runtime';
import type { EpochEnd } from './core/log-reconciliation.ts';
import type { Deadlines, Expiring } from './deadlines.ts';
import { codeOf } from './error-codes.ts';
import type { Partition } from './partition.ts';
import type { FollowerRequest } from './partition-outcomes.ts';
import type { TurnEnd } from './turn-end.ts';
import type { Watcher } from './waiters.ts';

type Request = replication.ReplicaFetchRequest;
type Answer = replication.ReplicaPartitionFetched;

export interface ReplicaFetchSessionOptions {
  readonly partitionById: (topicId: string, partition: number) => Partition | undefined;
  readonly deadlines: Deadlines;
  readonly turnEnd: TurnEnd;
  readonly clock: Clock;
  readonly send: (answers: Answer[]) => void;
}

/** Positions that a fetch does not name are counted again with it, but no more often than this: one message must not cost all partitions. */
const recountMs = 100;

/** What a follower said of one of its replicas, and who it was. */
type Position = replication.ReplicaPartitionFetch & FollowerRequest;

/** A fetch that was not answered yet. */
interface Want {
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;
}

/** What was read for an answer, and for which position. */
type Read = Map<FollowedPartition, { readonly position: Position; readonly records: readonly Uint8Array[] }>;

/** One replica of the follower, as the follower told it last. */
class FollowedPartition implements Watcher {
  readonly partition: Partition;
  position: Position;
  /** Records were sent for this position: nothing more before the follower names the next one. */
  isServed = false;
  toldHighWatermark = -1;
  toldLogStartOffset = -1;
  readonly highWatermarkWatcher: Watcher;
  readonly #onWake: (followed: FollowedPartition) => void;

  constructor(
    partition: Partition,
    position: Position,
    events: Record<'onLogEnd' | 'onHighWatermark', (followed: FollowedPartition) => void>,
  ) {
    this.partition = partition;
    this.position = position;
    this.#onWake = events.onLogEnd;
    this.highWatermarkWatcher = { wake: () => events.onHighWatermark(this) };
    partition.logEndWatchers.add(this);
    partition.highWatermarkWatchers.add(this.highWatermarkWatcher);
  }

  wake(): void {
    this.#onWake(this);
  }

  get hasRecords(): boolean {
    return !this.isServed && this.partition.state.logEndOffset > this.position.fetchOffset;
  }

  get hasNews(): boolean {
    const { highWatermark, logStartOffset } = this.partition;
    return highWatermark !== this.toldHighWatermark || logStartOffset !== this.toldLogStartOffset;
  }

  release(): void {
    this.partition.logEndWatchers.delete(this);
    this.partition.highWatermarkWatchers.delete(this.highWatermarkWatcher);
  }
}

/**
 * What a leader remembers of a follower for the life of one stream, so that a round costs what has changed and not what is followed.
 *
 * The invariant: **after each request the session holds what the follower's replicas were when it sent that request**, less what an answer has
 * refused. Positions in it may therefore be counted (rows 4, 9) whenever a request comes, whether it names them or not. It holds because
 *
 * 1. the stream delivers in order and completely, and what breaks it ends the session: a position never outlives a request that was lost.
 * 2. a follower that leaves a role (another epoch, a cut, a closed log) says `forgotten` no later than in its next request. So no position
 *    of before a cut is counted after one: A leads in epoch 5, F follows at 100; F hears of epoch 6 first, follows B, cuts to 90; its other
 *    partitions keep the stream to A busy, but whatever comes on it after the cut carries the `forgotten`.
 * 3. one stream per follower: a new one ends the one before (`ReplicaFetchServer`), and a follower that was restarted has none. What a dead
 *    stream's session holds is never counted, because only a request counts.
 *
 * What can go wrong, and what becomes of it:
 *
 * - The leader loses the partition or its epoch, or finds the follower's log diverging: it says so once and the partition leaves the session. A position
 *   of that partition that was on its way meanwhile brings it back, and is refused or served by itself.
 * - An answer crosses a change at the follower: it carries the epoch and offset that it answers, and the follower drops what is not where it is now.
 *   In between it may have come back to the same offset in the same epoch only by records of this stream, which came before.
 * - The follower cannot append what it got: it forgets the partition and names it again after a pause, instead of getting it again and again.
 * - The leader's own state of a follower begins anew (another epoch, replicas removed and added, row 12; put out of the ISR): the
 *   next fetch that counts all positions brings it back, although the follower noticed nothing.
 */
export class ReplicaFetchSession implements Expiring {
  readonly #options: ReplicaFetchSessionOptions;
  readonly #followed = new Map<Partition, FollowedPartition>();
  /** May have records, or no longer a leader; whoever was served last stands last. */
  readonly #ready = new Set<FollowedPartition>();
  /** Their high watermark or log start may be another than was told. That alone is no reason to answer. */
  readonly #moved = new Set<FollowedPartition>();
  /** What was refused since the last answer. */
  #refusals: Answer[] = [];
  #want: Want | undefined;
  #slot: number | undefined;
  #countedAtMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(options: ReplicaFetchSessionOptions) {
    this.#options = options;
  }

  /** False: a fetch waits already, the follower has lost count. */
  handle(request: Request): boolean {
    for (const { topicId, partition } of request.forgotten) {
      const found = this.#options.partitionById(topicId, partition);
      if (found !== undefined) this.#drop(this.#followed.get(found));
    }
    for (const asked of request.partitions) this.#take(asked, request);
    if (request.wantData) {
      if (this.#want !== undefined) return false;
      this.#recount();
      this.#want = request;
    }
    this.#answerIfAny();
    if (request.wantData && this.#want !== undefined) {
      this.#slot = this.#options.deadlines.set(this, request.maxWaitMs);
    }
    return true;
  }

  /** The high watermarks travel along even when there are no records: a follower hears of them at least so often. */
  expired(): void {
    this.#slot = undefined;
    if (this.#want === undefined) return;
    // A log start moves without waking anybody.
    for (const followed of this.#followed.values()) if (followed.hasNews) this.#moved.add(followed);
    this.#answer(this.#want);
  }

  close(): void {
    this.#isClosed = true;
    this.#want = undefined;
    this.#stopWaiting();
    for (const followed of this.#followed.values()) followed.release();
    this.#followed.clear();
    this.#ready.clear();
    this.#moved.clear();
  }

  #take(asked: replication.ReplicaPartitionFetch, { replicaId: brokerId, brokerEpoch }: Request): void {
    const position = { ...asked, brokerId, brokerEpoch };
    const partition = this.#options.partitionById(asked.topicId, asked.partition);
    if (partition === undefined) {
      this.#refusals.push(answerTo(position, codeOf['unknown-topic-id']));
      return;
    }
    let followed = this.#followed.get(partition);
    if (followed === undefined) {
      followed = new FollowedPartition(partition, position, this.#events);
      this.#followed.set(partition, followed);
      this.#moved.add(followed);
    }
    followed.position = position;
    followed.isServed = false;
    this.#count(followed);
  }

  readonly #events = {
    onLogEnd: (followed: FollowedPartition): void => {
      this.#ready.add(followed);
      if (this.#want !== undefined) this.#options.turnEnd.schedule(this.#answerIfAny);
    },
    onHighWatermark: (followed: FollowedPartition): void => {
      this.#moved.add(followed);
    },
  };

  /** A fetch is a sign of life for all that is followed here, as if it named everything. */
  #recount(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#countedAtMs < recountMs) return;
    this.#countedAtMs = nowMs;
    for (const followed of this.#followed.values()) {
      this.#count(followed);
      if (followed.hasNews) this.#moved.add(followed);
    }
  }

  #count(followed: FollowedPartition): void {
    const result = followed.partition.followerFetched(followed.position);
    if (typeof result === 'string') this.#refuse(followed, codeOf[result]);
    else if (result.kind === 'out-of-range') this.#refuse(followed, codeOf['out-of-range']);
    else if (result.kind === 'diverging') this.#refuse(followed, errorCodes.NONE, result.end);
    else if (followed.hasRecords) this.#ready.add(followed);
  }

  #refuse(followed: FollowedPartition, errorCode: number, diverging?: EpochEnd): void {
    const { position, partition } = followed;
    if (this.#followed.get(partition) !== followed) return;
    this.#drop(followed);
    this.#refusals.push({ ...answerTo(position, errorCode), logStartOffset: partition.logStartOffset, diverging });
  }

  #drop(followed: FollowedPartition | undefined): void {
    if (followed === undefined) return;
    followed.release();
    this.#followed.delete(followed.partition);
    this.#ready.delete(followed);
    this.#moved.delete(followed);
  }

  readonly #answerIfAny = (): void => {
    if (this.#want === undefined) return;
    for (const followed of this.#ready) {
      const check = followed.partition.checkLeader(followed.position.leaderEpoch);
      if (check !== 'leader') this.#refuse(followed, codeOf[check]);
      else if (!followed.hasRecords) this.#ready.delete(followed);
    }
    if (this.#ready.size > 0 || this.#refusals.length > 0) this.#answer(this.#want);
  };

  #answer({ maxBytes, partitionMaxBytes }: Want): void {
    this.#want = undefined;
    this.#stopWaiting();
    const read: Read = new Map();
    const fromDisk: Promise<void>[] = [];
    let left = maxBytes;
    for (const followed of this.#ready) {
      if (left <= 0) break;
      if (!followed.hasRecords) continue;
      const limit = Math.min(partitionMaxBytes, left);
      const { partition, position } = followed;
      const now = partition.readNowForFollower(position.fetchOffset, limit);
      left -= now?.sizeBytes ?? limit;
      followed.isServed = true;
      this.#ready.delete(followed);
      if (now !== undefined) read.set(followed, { position, records: now.records });
      else fromDisk.push(this.#readDisk(followed, limit, read));
    }
    if (fromDisk.length === 0) this.#send(read);
    else void Promise.all(fromDisk).then(() => this.#send(read));
  }

  async #readDisk(followed: FollowedPartition, maxBytes: number, read: Read): Promise<void> {
    const { partition, position } = followed;
    try {
      const result = await partition.readForFollower(position.fetchOffset, maxBytes);
      if (result.kind === 'batches') read.set(followed, { position, records: result.records });
      else this.#refuse(followed, codeOf[result.kind === 'out-of-range' ? 'out-of-range' : 'storage-failed']);
    } catch {
      this.#refuse(followed, codeOf['storage-failed']);
    }
  }

  /** Everything that an answer says of a partition is of this moment, and the records are of a leader that still is one. */
  #send(read: Read): void {
    if (this.#isClosed) return;
    const answers: Answer[] = [];
    for (const [followed, { position, records }] of read) {
      if (this.#followed.get(followed.partition) !== followed) continue;
      const check = followed.partition.checkLeader(position.leaderEpoch);
      if (check !== 'leader') this.#refuse(followed, codeOf[check]);
      else answers.push(tell(followed, position, records));
      // Nobody names it again for nothing.
      if (records.length === 0) followed.isServed = false;
    }
    for (const followed of this.#moved) {
      const isLeader = followed.partition.checkLeader(followed.position.leaderEpoch) === 'leader';
      if (isLeader && followed.hasNews) answers.push(tell(followed, followed.position, noRecords));
    }
    this.#moved.clear();
    answers.push(...this.#refusals);
    this.#refusals = [];
    this.#options.send(answers);
  }

  #stopWaiting(): void {
    if (this.#slot !== undefined) this.#options.deadlines.clear(this, this.#slot);
    this.#slot = undefined;
  }
}

const noRecords: readonly Uint8Array[] = [];

function tell(followed: FollowedPartition, position: Position, records: readonly Uint8Array[]): Answer {
  const { highWatermark, logStartOffset } = followed.partition;
  followed.toldHighWatermark = highWatermark;
  followed.toldLogStartOffset = logStartOffset;
  return { ...answerTo(position, errorCodes.NONE), highWatermark, logStartOffset, records: records as Uint8Array[] };
}

function answerTo({ topicId, partition, leaderEpoch, fetchOffset }: Position, errorCode: number): Answer {
  return {
    topicId,
    partition,
    errorCode,
    leaderEpoch,
    fetchOffset,
    highWatermark: -1,
    logStartOffset: -1,
    diverging: undefined,
    records: [],
  };
}
