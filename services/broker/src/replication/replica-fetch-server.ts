import { errorCodes } from '@naru/kafka-protocol';
import type { Logger } from '@naru/observability';
import {
  RpcError,
  type RpcStream,
  type replication,
  replicationMethods,
  type ServiceBinding,
  type StreamEvents,
  stream,
} from '@naru/rpc';
import type { Registrations } from './core/leader-state.ts';
import type { Deadlines, Expiring } from './deadlines.ts';
import { codeOf } from './error-codes.ts';
import type { Partition } from './partition.ts';
import type { TurnEnd } from './turn-end.ts';
import type { Watcher } from './waiters.ts';

type Request = replication.ReplicaFetchRequest;
type Response = replication.ReplicaFetchResponse;
type Asked = replication.ReplicaPartitionFetch;
type Answer = replication.ReplicaPartitionFetched;

/** What it needs of the set of partitions. */
export interface ReplicaSource {
  readonly registrations: Registrations;
  partitionById(topicId: string, partition: number): Partition | undefined;
}

export interface ReplicaFetchServerOptions {
  readonly source: ReplicaSource;
  readonly deadlines: Deadlines;
  readonly turnEnd: TurnEnd;
  readonly logger: Logger;
}

/** Fetches of one follower that wait their turn; it sends at most two. */
const queuedFetchesMax = 4;

/** Serves the fetch streams of this broker's followers. */
export class ReplicaFetchServer {
  readonly #options: ReplicaFetchServerOptions;
  readonly #streams = new Map<number, FollowerStream>();

  constructor(options: ReplicaFetchServerOptions) {
    this.#options = options;
  }

  binding(): ServiceBinding {
    return stream(replicationMethods.fetch, (opened) => {
      const follower = new FollowerStream(opened, this.#options, (replicaId) => this.#introduced(replicaId, follower));
      opened.handle(follower);
    });
  }

  /**
   * One stream per follower: what an older connection of it still delivers would look as if its log had become shorter.
   */
  #introduced(replicaId: number, follower: FollowerStream): void {
    const before = this.#streams.get(replicaId);
    this.#streams.set(replicaId, follower);
    before?.replaced();
  }
}

/** A fetch that waits for data. */
interface Waiting {
  readonly request: Request;
  readonly partitions: readonly Partition[];
  readonly slot: number;
}

class FollowerStream implements StreamEvents<Request>, Watcher, Expiring {
  readonly #stream: RpcStream<Response, Request>;
  readonly #options: ReplicaFetchServerOptions;
  readonly #introduce: (replicaId: number) => void;
  #replicaId: number | undefined;
  #waiting: Waiting | undefined;
  /** The disk is read for an answer; what is asked meanwhile waits. */
  #isReading = false;
  readonly #queued: Request[] = [];
  #isClosed = false;

  constructor(
    opened: RpcStream<Response, Request>,
    options: ReplicaFetchServerOptions,
    introduce: (replicaId: number) => void,
  ) {
    this.#stream = opened;
    this.#options = options;
    this.#introduce = introduce;
  }

  replaced(): void {
    if (!this.#isClosed) this.#stream.fail(new RpcError('aborted', 'another stream of this follower took its place'));
    this.#close();
  }

  onMessage(request: Request): void {
    if (this.#isClosed) return;
    const isCurrent = this.#options.source.registrations.get(request.replicaId) === request.brokerEpoch;
    if (!isCurrent) {
      // A former incarnation, or one that this broker has not heard of yet: it counts for nothing (rows 5, 10).
      if (request.wantData) this.#send(request, codeOf['stale-broker-epoch'], []);
      return;
    }
    if (this.#replicaId === undefined) {
      this.#replicaId = request.replicaId;
      this.#introduce(request.replicaId);
    }
    if (!request.wantData) this.#report(request);
    else if (this.#isReading) this.#enqueue(request);
    else {
      if (this.#waiting !== undefined) this.#finish(this.#waiting);
      this.#fetch(request);
    }
  }

  onEnd(): void {
    this.#close();
    this.#stream.end();
  }

  onClose(): void {
    this.#close();
  }

  /** A partition moved. Everything that moves in this turn leaves in one answer. */
  wake(): void {
    this.#options.turnEnd.schedule(this.#retry);
  }

  expired(): void {
    if (this.#waiting !== undefined) this.#finish(this.#waiting);
  }

  readonly #retry = (): void => {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const changed = waiting.request.partitions.some((asked, i) => {
      const partition = waiting.partitions[i] as Partition;
      return partition.state.logEndOffset > asked.fetchOffset || partition.checkLeader(asked.leaderEpoch) !== 'leader';
    });
    if (changed) this.#finish(waiting);
  };

  #report(request: Request): void {
    const { replicaId: brokerId, brokerEpoch } = request;
    for (const asked of request.partitions) {
      this.#find(asked)?.followerFetched({ ...asked, brokerId, brokerEpoch });
    }
  }

  #enqueue(request: Request): void {
    if (this.#queued.length >= queuedFetchesMax) {
      this.#stream.fail(new RpcError('resource-exhausted', 'too many replica fetches at once'));
      this.#close();
      return;
    }
    this.#queued.push(request);
  }

  /** Counts the positions first; then answers what is there, or waits when there is nothing to say. */
  #fetch(request: Request): void {
    const { replicaId: brokerId, brokerEpoch } = request;
    const told: Answer[] = [];
    const readable: { asked: Asked; partition: Partition }[] = [];
    let available = false;
    for (const asked of request.partitions) {
      const partition = this.#find(asked);
      if (partition === undefined) {
        told.push(refusal(asked, codeOf['unknown-topic-id']));
        continue;
      }
      const result = partition.followerFetched({ ...asked, brokerId, brokerEpoch });
      if (typeof result === 'string') told.push(refusal(asked, codeOf[result]));
      else if (result.kind === 'out-of-range') told.push(answerOf(asked, partition, codeOf['out-of-range']));
      else if (result.kind === 'diverging') {
        const { epoch, endOffset } = result.end;
        told.push({
          ...answerOf(asked, partition, errorCodes.NONE),
          diverging: true,
          divergingEpoch: epoch,
          divergingEndOffset: endOffset,
        });
      } else {
        readable.push({ asked, partition });
        available ||= partition.state.logEndOffset > asked.fetchOffset;
      }
    }
    if (available || told.length > 0) this.#read(request, readable, told, false);
    else this.#wait(request, readable);
  }

  #wait(request: Request, readable: readonly { asked: Asked; partition: Partition }[]): void {
    const partitions = readable.map(({ partition }) => partition);
    for (const partition of partitions) partition.logEndWatchers.add(this);
    this.#waiting = { request, partitions, slot: this.#options.deadlines.set(this, request.maxWaitMs) };
  }

  #stopWaiting(waiting: Waiting): void {
    this.#waiting = undefined;
    this.#options.deadlines.clear(this, waiting.slot);
    for (const partition of waiting.partitions) partition.logEndWatchers.delete(this);
  }

  /** All positions were counted when it began to wait. The high watermarks of all travel along: a follower hears of them at least so often. */
  #finish(waiting: Waiting): void {
    this.#stopWaiting(waiting);
    const told: Answer[] = [];
    const readable: { asked: Asked; partition: Partition }[] = [];
    for (const [i, asked] of waiting.request.partitions.entries()) {
      const partition = waiting.partitions[i] as Partition;
      const check = partition.checkLeader(asked.leaderEpoch);
      if (check === 'leader') readable.push({ asked, partition });
      else told.push(refusal(asked, codeOf[check]));
    }
    this.#read(waiting.request, readable, told, true);
  }

  #read(
    request: Request,
    readable: readonly { asked: Asked; partition: Partition }[],
    answers: Answer[],
    tellAll: boolean,
  ): void {
    let left = request.maxBytes;
    const fromDisk: Promise<void>[] = [];
    for (const { asked, partition } of readable) {
      const answer = answerOf(asked, partition, errorCodes.NONE);
      if (left > 0 && partition.state.logEndOffset > asked.fetchOffset) {
        const maxBytes = Math.min(asked.maxBytes, left);
        const now = partition.readNowForFollower(asked.fetchOffset, maxBytes);
        if (now !== undefined) {
          answer.records = [...now.records];
          left -= now.sizeBytes;
        } else {
          left -= maxBytes;
          fromDisk.push(readFromDisk(partition, asked, maxBytes, answer));
        }
        answers.push(answer);
      } else if (tellAll) answers.push(answer);
    }
    if (fromDisk.length === 0) {
      this.#send(request, errorCodes.NONE, answers);
      return;
    }
    this.#isReading = true;
    void Promise.all(fromDisk).then(() => {
      this.#isReading = false;
      this.#send(request, errorCodes.NONE, answers);
      const next = this.#queued.shift();
      if (next !== undefined) this.onMessage(next);
    });
  }

  #send(request: Request, errorCode: number, partitions: Answer[]): void {
    if (!this.#isClosed) this.#stream.send({ correlationId: request.correlationId, errorCode, partitions });
  }

  #find(asked: Asked): Partition | undefined {
    return this.#options.source.partitionById(asked.topicId, asked.partition);
  }

  #close(): void {
    this.#isClosed = true;
    this.#queued.length = 0;
    if (this.#waiting !== undefined) this.#stopWaiting(this.#waiting);
  }
}

async function readFromDisk(partition: Partition, asked: Asked, maxBytes: number, answer: Answer): Promise<void> {
  try {
    const result = await partition.readForFollower(asked.fetchOffset, maxBytes);
    if (result.kind === 'batches') answer.records = [...result.records];
    else answer.errorCode = codeOf[result.kind === 'out-of-range' ? 'out-of-range' : 'storage-failed'];
  } catch {
    answer.errorCode = codeOf['storage-failed'];
  }
}

function answerOf(asked: Asked, partition: Partition, errorCode: number): Answer {
  return {
    topicId: asked.topicId,
    partition: asked.partition,
    errorCode,
    leaderEpoch: partition.leaderEpoch,
    highWatermark: partition.highWatermark,
    logStartOffset: partition.logStartOffset,
    diverging: false,
    divergingEpoch: -1,
    divergingEndOffset: -1,
    records: [],
  };
}

function refusal(asked: Asked, errorCode: number): Answer {
  return {
    topicId: asked.topicId,
    partition: asked.partition,
    errorCode,
    leaderEpoch: -1,
    highWatermark: -1,
    logStartOffset: -1,
    diverging: false,
    divergingEpoch: -1,
    divergingEndOffset: -1,
    records: [],
  };
}
