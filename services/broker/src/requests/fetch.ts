import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import type { Expiring } from '../replication/deadlines.ts';
import { codeOf } from '../replication/error-codes.ts';
import type { Partition } from '../replication/partition.ts';
import type { ReplicaManager } from '../replication/replica-manager.ts';
import type { Watcher } from '../replication/waiters.ts';

const noBytes = new Uint8Array(0);

export interface FetchHandlerOptions {
  readonly replicas: ReplicaManager;
  /** `fetch.max.bytes`: no answer is larger, but for a first batch that is (KIP-74). */
  readonly responseBytesMax: number;
}

/**
 * Fetch: whole batches from the asked offset up to the high watermark (C9).
 *
 * Answered when `min_bytes` are there, a partition has an error, or `max_wait_ms` are over; until then nothing runs: the partitions wake the request
 * when their high watermark moves. What is in the tail of the log is answered in the same turn, without a promise.
 *
 * - OFFSET_OUT_OF_RANGE below the log start or beyond the log end. Between high watermark and log end an answer is just empty: another
 *   leader may have shown more than this one knows yet.
 * - FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH when the client names another epoch (KIP-320).
 * - The first batch comes even when it is larger than every limit (KIP-74).
 * - read_committed is read_uncommitted while there are no transactions.
 */
export class FetchHandler {
  readonly #options: FetchHandlerOptions;

  constructor(options: FetchHandlerOptions) {
    this.#options = options;
  }

  /** Returns a function that gives the request up; `done` is called once, unless it was given up. */
  handle(request: broker.FetchRequest, done: (response: broker.FetchResponse) => void): () => void {
    const pending = new PendingFetch(request, this.#options, done);
    pending.attempt();
    return () => pending.giveUp();
  }
}

class PendingFetch implements Watcher, Expiring {
  readonly #request: broker.FetchRequest;
  readonly #options: FetchHandlerOptions;
  readonly #done: (response: broker.FetchResponse) => void;
  #watched: readonly Partition[] = [];
  #slot: number | undefined;
  #isReading = false;
  #isOver = false;
  #isExpired = false;

  constructor(
    request: broker.FetchRequest,
    options: FetchHandlerOptions,
    done: (response: broker.FetchResponse) => void,
  ) {
    this.#request = request;
    this.#options = options;
    this.#done = done;
    this.#isExpired = request.maxWaitMs <= 0;
  }

  wake(): void {
    this.#options.replicas.turnEnd.schedule(this.#retry);
  }

  expired(): void {
    this.#slot = undefined;
    this.#isExpired = true;
    this.#retry();
  }

  giveUp(): void {
    this.#isOver = true;
    this.#stopWaiting();
  }

  readonly #retry = (): void => {
    if (!this.#isOver && !this.#isReading) this.attempt();
  };

  /** Looks at every partition as it is now: one view for the whole answer (row 16). */
  attempt(): void {
    const { partitions, maxBytes } = this.#request;
    let left = Math.min(maxBytes, this.#options.responseBytesMax);
    let bytes = 0;
    let hasError = false;
    const answers: broker.PartitionFetched[] = [];
    const fromDisk: Promise<number>[] = [];
    const readable: Partition[] = [];
    for (const asked of partitions) {
      const partition = this.#leaderOf(asked, answers);
      if (partition === undefined) {
        hasError = true;
        continue;
      }
      readable.push(partition);
      const answer = answerOf(asked, partition, errorCodes.NONE);
      answers.push(answer);
      if (left <= 0 || asked.fetchOffset >= partition.highWatermark) continue;
      const limit = Math.min(asked.maxBytes, left);
      const now = partition.readNow(asked.fetchOffset, limit);
      if (now === undefined) {
        left -= limit;
        fromDisk.push(readFromDisk(partition, asked, limit, answer));
      } else {
        left -= now.sizeBytes;
        bytes += now.sizeBytes;
        answer.records = joined(now.records);
      }
    }
    if (fromDisk.length === 0) this.#decide(answers, bytes, hasError, readable);
    else this.#afterDisk(fromDisk, answers, bytes, hasError, readable);
  }

  #afterDisk(
    fromDisk: readonly Promise<number>[],
    answers: broker.PartitionFetched[],
    bytes: number,
    hasError: boolean,
    readable: readonly Partition[],
  ): void {
    this.#isReading = true;
    void Promise.all(fromDisk).then((sizes) => {
      this.#isReading = false;
      if (this.#isOver) return;
      const total = sizes.reduce((sum, size) => sum + size, bytes);
      const failed = hasError || answers.some((answer) => answer.errorCode !== errorCodes.NONE);
      this.#decide(answers, total, failed, readable);
    });
  }

  #decide(answers: broker.PartitionFetched[], bytes: number, hasError: boolean, readable: readonly Partition[]): void {
    if (hasError || this.#isExpired || bytes >= this.#request.minBytes) {
      this.#isOver = true;
      this.#stopWaiting();
      this.#done({ correlationId: this.#request.correlationId, partitions: answers });
    } else if (this.#slot === undefined) {
      this.#watched = readable;
      for (const partition of readable) partition.highWatermarkWatchers.add(this);
      this.#slot = this.#options.replicas.deadlines.set(this, this.#request.maxWaitMs);
    }
  }

  #stopWaiting(): void {
    if (this.#slot !== undefined) this.#options.replicas.deadlines.clear(this, this.#slot);
    for (const partition of this.#watched) partition.highWatermarkWatchers.delete(this);
    this.#watched = [];
  }

  /** Undefined, and the answer is given, when this broker has nothing to read for it. */
  #leaderOf(asked: broker.PartitionFetch, answers: broker.PartitionFetched[]): Partition | undefined {
    const { replicas } = this.#options;
    const found = replicas.find(asked.topic, asked.topicId, asked.partition);
    const outcome = found.kind === 'partition' ? found.partition.checkLeader(asked.currentLeaderEpoch) : found.kind;
    if (found.kind !== 'partition' || outcome !== 'leader') {
      const code = codeOf[outcome as Exclude<typeof outcome, 'leader'>];
      answers.push({ ...answerOf(asked, undefined, code), ...replicas.leaderOf(asked.topic, asked.partition) });
      return undefined;
    }
    const { logStartOffset, logEndOffset } = found.partition.log;
    if (asked.fetchOffset < logStartOffset || asked.fetchOffset > logEndOffset) {
      answers.push(answerOf(asked, found.partition, codeOf['out-of-range']));
      return undefined;
    }
    return found.partition;
  }
}

/** Resolves with the bytes read. A bad batch is never served (L4); the log has told its owner about it. */
async function readFromDisk(
  partition: Partition,
  asked: broker.PartitionFetch,
  maxBytes: number,
  answer: broker.PartitionFetched,
): Promise<number> {
  try {
    const result = await partition.read(asked.fetchOffset, maxBytes);
    if (result.kind === 'batches') {
      answer.records = joined(result.records);
      return result.sizeBytes;
    }
    answer.errorCode = codeOf[result.kind === 'out-of-range' ? 'out-of-range' : 'storage-failed'];
  } catch {
    answer.errorCode = codeOf['storage-failed'];
  }
  return 0;
}

function joined(records: readonly Uint8Array[]): Uint8Array {
  return records.length === 1 ? (records[0] as Uint8Array) : records.length === 0 ? noBytes : Buffer.concat(records);
}

function answerOf(
  asked: broker.PartitionFetch,
  partition: Partition | undefined,
  errorCode: number,
): broker.PartitionFetched {
  const highWatermark = partition?.highWatermark ?? -1;
  return {
    topic: asked.topic,
    partition: asked.partition,
    errorCode,
    errorMessage: '',
    highWatermark,
    logStartOffset: partition?.logStartOffset ?? -1,
    lastStableOffset: highWatermark,
    leaderId: -1,
    leaderEpoch: partition?.leaderEpoch ?? -1,
    records: noBytes,
  };
}
