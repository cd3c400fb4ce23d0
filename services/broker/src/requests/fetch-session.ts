import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import type { Expiring } from '../replication/deadlines.ts';
import { codeOf, type Outcome } from '../replication/error-codes.ts';
import type { Partition } from '../replication/partition.ts';
import type { ReplicaManager } from '../replication/replica-manager.ts';
import type { Watcher } from '../replication/waiters.ts';

type Answer = broker.PartitionFetched;

export interface FetchSessionOptions {
  readonly replicas: ReplicaManager;
  /** `fetch.max.bytes`: no answer is larger, but for a first batch that is (KIP-74). */
  readonly responseBytesMax: number;
  readonly send: (answers: Answer[]) => void;
}

/** One partition that a client waits for, from one position on. Whoever names another position gets another object. */
class StandingFetch implements Watcher {
  readonly partition: Partition;
  readonly asked: broker.PartitionFetch;
  readonly #leaderEpoch: number;
  readonly #onWake: (standing: StandingFetch) => void;

  constructor(partition: Partition, asked: broker.PartitionFetch, onWake: (standing: StandingFetch) => void) {
    this.partition = partition;
    this.asked = asked;
    this.#leaderEpoch = partition.leaderEpoch;
    this.#onWake = onWake;
  }

  wake(): void {
    this.#onWake(this);
  }

  /** In the epoch in which its position was checked: until then the log only grew at its end. */
  get isLed(): boolean {
    return this.partition.isLeader && this.partition.leaderEpoch === this.#leaderEpoch;
  }

  get hasRecords(): boolean {
    return this.asked.fetchOffset < this.partition.highWatermark;
  }

  watch(): void {
    this.partition.highWatermarkWatchers.add(this);
  }

  release(): void {
    this.partition.highWatermarkWatchers.delete(this);
  }
}

/** What was read for an answer. */
type Read = Map<StandingFetch, readonly Uint8Array[]>;

/**
 * What a client waits for, for the life of one stream, so that a poll costs what has changed and not what is read: a consumer of 1,000 partitions names
 * one when it has moved. Records, an error or a divergence end a partition's standing; who wants more names the next position.
 *
 * The invariant: **a partition that the client takes for standing stands here, or its answer is on the way.** It holds because the stream delivers
 * in order and completely, a session ends with its stream, and nothing leaves it without an answer but what the client has forgotten. What crosses:
 *
 * - The client seeks while an answer is on its way: it has named another position since, or will; the answer carries the one that it answers, and is dropped.
 * - It seeks away and back: both answers bring the same records. The first moves it on, the second is dropped.
 * - The leader changes: the partition is refused once, with a hint who leads. A leader that is cut off cannot know; so a client that hears of a newer
 *   leader forgets the partition here.
 *
 * Answered when `min_bytes` are there, a partition has an error, or `max_wait_ms` are over; until then nothing runs: the partitions wake the session
 * when their high watermark moves. What is in the tail of the log is answered in the same turn, without a promise.
 */
export class FetchSession implements Expiring {
  readonly #options: FetchSessionOptions;
  readonly #standing = new Map<Partition, StandingFetch>();
  /** May have records, or have lost its leader. */
  readonly #ready = new Set<StandingFetch>();
  /** Have no records, but a high watermark of which the client has not heard. */
  readonly #news = new Set<StandingFetch>();
  #refusals: Answer[] = [];
  #want: broker.FetchRequest | undefined;
  #slot: number | undefined;
  #isExpired = false;
  #isReading = false;
  #isClosed = false;

  constructor(options: FetchSessionOptions) {
    this.#options = options;
  }

  get standingCount(): number {
    return this.#standing.size;
  }

  get isWanted(): boolean {
    return this.#want !== undefined;
  }

  /** False: a fetch waits already, the client has lost count. */
  handle(request: broker.FetchRequest): boolean {
    const { replicas } = this.#options;
    for (const { topic, partition } of request.forgotten) {
      const found = replicas.find(topic, '', partition);
      if (found.kind === 'partition') this.#drop(this.#standing.get(found.partition));
    }
    for (const asked of request.partitions) this.#name(asked);
    if (request.wantData) {
      if (this.#want !== undefined) return false;
      this.#want = request;
      this.#isExpired = request.maxWaitMs <= 0 || request.minBytes <= 0;
    }
    this.#answerIfDue();
    const isWaiting = request.wantData && this.#want === request && !this.#isExpired;
    if (isWaiting) this.#slot = replicas.deadlines.set(this, request.maxWaitMs);
    return true;
  }

  expired(): void {
    this.#slot = undefined;
    this.#isExpired = true;
    this.#answerIfDue();
  }

  close(): void {
    this.#isClosed = true;
    this.#want = undefined;
    this.#stopWaiting();
    for (const standing of this.#standing.values()) standing.release();
    this.#standing.clear();
    this.#ready.clear();
    this.#news.clear();
  }

  /**
   * - OFFSET_OUT_OF_RANGE below the log start or beyond the log end. Between high watermark and log end there is just nothing yet: another
   *   leader may have shown more than this one knows.
   * - FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH when the client names another epoch than this leader's; a divergence when the records that it has read
   *   are not those of this log (KIP-320).
   */
  #name(asked: broker.PartitionFetch): void {
    const { replicas } = this.#options;
    const found = replicas.find(asked.topic, asked.topicId, asked.partition);
    const outcome = found.kind === 'partition' ? found.partition.checkLeader(asked.currentLeaderEpoch) : found.kind;
    if (found.kind === 'partition') this.#drop(this.#standing.get(found.partition));
    if (found.kind !== 'partition' || outcome !== 'leader') {
      this.#refuse(asked, outcome as Exclude<typeof outcome, 'leader' | 'partition'>);
      return;
    }
    const { partition } = found;
    const position = partition.checkPosition(asked);
    if (position.kind === 'diverging') {
      this.#refusals.push({ ...answerTo(asked, partition), diverging: position.end });
    } else if (position.kind === 'out-of-range' || asked.fetchOffset > partition.log.logEndOffset) {
      this.#refusals.push({ ...answerTo(asked, partition), errorCode: codeOf['out-of-range'] });
    } else {
      const standing = new StandingFetch(partition, asked, this.#onWake);
      this.#standing.set(partition, standing);
      this.#ready.add(standing);
      this.#news.add(standing);
    }
  }

  readonly #onWake = (standing: StandingFetch): void => {
    this.#ready.add(standing);
    this.#news.add(standing);
    if (this.#want !== undefined) this.#options.replicas.turnEnd.schedule(this.#answerIfDue);
  };

  #refuse(asked: broker.PartitionFetch, outcome: Outcome): void {
    const hint = this.#options.replicas.leaderOf(asked.topic, asked.partition);
    this.#refusals.push({ ...answerTo(asked, undefined), errorCode: codeOf[outcome], ...hint });
  }

  #drop(standing: StandingFetch | undefined): void {
    if (standing === undefined) return;
    standing.release();
    this.#standing.delete(standing.partition);
    this.#ready.delete(standing);
    this.#news.delete(standing);
  }

  readonly #answerIfDue = (): void => {
    if (this.#want === undefined || this.#isReading) return;
    for (const standing of this.#ready) {
      if (!standing.isLed) this.#leaderLost(standing);
      else if (!standing.hasRecords) this.#park(standing);
    }
    if (this.#ready.size === 0 && this.#refusals.length === 0 && !this.#isExpired) return;
    this.#read(this.#want);
  };

  /** Until its high watermark moves. */
  #park(standing: StandingFetch): void {
    this.#ready.delete(standing);
    standing.watch();
  }

  #leaderLost(standing: StandingFetch): void {
    this.#drop(standing);
    const check = standing.partition.checkLeader(standing.asked.currentLeaderEpoch);
    this.#refuse(standing.asked, check === 'leader' ? 'not-leader' : check);
  }

  #read(want: broker.FetchRequest): void {
    const read: Read = new Map();
    const fromDisk: Promise<number>[] = [];
    let left = Math.min(want.maxBytes, this.#options.responseBytesMax);
    let bytes = 0;
    for (const standing of this.#ready) {
      if (left <= 0) break;
      const { partition, asked } = standing;
      const limit = Math.min(asked.maxBytes, left);
      const now = partition.readNow(asked.fetchOffset, limit);
      left -= now?.sizeBytes ?? limit;
      bytes += now?.sizeBytes ?? 0;
      if (now !== undefined) read.set(standing, now.records);
      else fromDisk.push(this.#readDisk(standing, limit, read));
    }
    if (fromDisk.length === 0) {
      this.#decide(want, read, bytes);
      return;
    }
    this.#isReading = true;
    void Promise.all(fromDisk).then((sizes) => {
      this.#isReading = false;
      if (!this.#isClosed)
        this.#decide(
          want,
          read,
          sizes.reduce((sum, size) => sum + size, bytes),
        );
    });
  }

  /** Resolves with the bytes read. A bad batch is never served (L4); the log has told its owner about it. */
  async #readDisk(standing: StandingFetch, maxBytes: number, read: Read): Promise<number> {
    const { partition, asked } = standing;
    let outcome: Outcome = 'storage-failed';
    try {
      const result = await partition.read(asked.fetchOffset, maxBytes);
      if (result.kind === 'batches') {
        read.set(standing, result.records);
        return result.sizeBytes;
      }
      if (result.kind === 'out-of-range') outcome = 'out-of-range';
    } catch {
      // The log has told its owner.
    }
    if (this.#standing.get(partition) === standing) this.#fail(standing, outcome);
    return 0;
  }

  #fail(standing: StandingFetch, outcome: Outcome): void {
    this.#drop(standing);
    this.#refusals.push({ ...answerTo(standing.asked, standing.partition), errorCode: codeOf[outcome] });
  }

  /**
   * Everything that an answer says of a partition is of this moment, after the read (row 16): the records were below the high watermark when they were read, and a leader's
   * log only grows at its end. Whoever lost the leadership meanwhile, or whose log start has passed the records, has read what is no longer there.
   */
  #decide(want: broker.FetchRequest, read: Read, bytes: number): void {
    for (const [standing, records] of read) {
      const { partition, asked } = standing;
      const isCurrent = this.#standing.get(partition) === standing;
      if (isCurrent && standing.isLed && asked.fetchOffset >= partition.logStartOffset && records.length > 0) continue;
      read.delete(standing);
      if (!isCurrent) continue;
      if (!standing.isLed) this.#leaderLost(standing);
      else if (records.length === 0) this.#park(standing);
      else this.#fail(standing, 'out-of-range');
    }
    if (this.#isExpired || this.#refusals.length > 0 || bytes >= want.minBytes) this.#answer(read);
    else for (const standing of this.#ready) standing.watch();
  }

  #answer(read: Read): void {
    this.#want = undefined;
    this.#stopWaiting();
    const answers: Answer[] = [];
    for (const [standing, records] of read) {
      this.#drop(standing);
      answers.push({ ...answerTo(standing.asked, standing.partition), records: records as Uint8Array[] });
    }
    for (const standing of this.#news) {
      if (standing.isLed) answers.push(answerTo(standing.asked, standing.partition));
      else this.#leaderLost(standing);
    }
    this.#news.clear();
    answers.push(...this.#refusals);
    this.#refusals = [];
    this.#options.send(answers);
  }

  #stopWaiting(): void {
    if (this.#slot !== undefined) this.#options.replicas.deadlines.clear(this, this.#slot);
    this.#slot = undefined;
  }
}

/** Without records and error; without a partition nothing is known. */
function answerTo(
  { topic, partition: index, fetchOffset }: broker.PartitionFetch,
  partition: Partition | undefined,
): Answer {
  const highWatermark = partition?.highWatermark ?? -1;
  return {
    topic,
    partition: index,
    fetchOffset,
    errorCode: errorCodes.NONE,
    errorMessage: '',
    highWatermark,
    logStartOffset: partition?.logStartOffset ?? -1,
    // Nothing is undecided while there are no transactions.
    lastStableOffset: highWatermark,
    leaderId: -1,
    leaderEpoch: partition?.leaderEpoch ?? -1,
    diverging: undefined,
    records: [],
  };
}
