import type { broker } from '@naru/rpc';
import type { Expiring } from '../replication/deadlines.ts';
import { ackCodeOf, codeOf } from '../replication/error-codes.ts';
import type { Partition } from '../replication/partition.ts';
import type { ReplicaManager } from '../replication/replica-manager.ts';
import type { AckOutcome, AckWaiter } from '../replication/waiters.ts';

/** acks as on the wire. */
const acksNone = 0;
const noOffset = -1;

/** The answer of one request, as its partitions get theirs. */
export class PendingProduce implements Expiring {
  readonly #correlationId: number;
  readonly #acks: number;
  readonly #timeoutMs: number;
  readonly #replicas: ReplicaManager;
  readonly #done: (response: broker.ProduceResponse | undefined) => void;
  readonly #answers: broker.PartitionAppended[] = [];
  readonly #waiting = new Set<broker.PartitionAppended>();
  #slot: number | undefined;
  /** Partitions that have no outcome yet; one more until the request was gone through. */
  #openCount = 1;
  #placesCount = 0;

  constructor(
    request: broker.ProduceRequest,
    replicas: ReplicaManager,
    done: (response: broker.ProduceResponse | undefined) => void,
  ) {
    // Not the request: its records belong to the log by now.
    this.#correlationId = request.correlationId;
    this.#acks = request.acks;
    this.#timeoutMs = request.timeoutMs;
    this.#replicas = replicas;
    this.#done = done;
  }

  /** A partition's place in the answer, to be filled once. */
  reserve(): number {
    this.#openCount++;
    return this.#placesCount++;
  }

  fill(place: number, answer: broker.PartitionAppended): void {
    this.#answers[place] = answer;
    this.#settled();
  }

  /** The answer is told when its acks are there, too. */
  await(partition: Partition, endOffset: number, answer: broker.PartitionAppended): void {
    this.#waiting.add(answer);
    partition.awaitReplication(endOffset, new PartitionAck(this, answer));
  }

  /** Every partition of the request has its place. */
  allReserved(): void {
    this.#settled();
  }

  /** The time for the acks begins when all is appended. */
  #settled(): void {
    this.#openCount--;
    if (this.#openCount > 0) return;
    if (this.#waiting.size === 0) this.#finish();
    else this.#slot = this.#replicas.deadlines.set(this, Math.max(0, this.#timeoutMs));
  }

  acknowledged(answer: broker.PartitionAppended, outcome: AckOutcome): void {
    if (!this.#waiting.delete(answer)) return;
    if (outcome !== 'replicated') this.#fail(answer, ackCodeOf[outcome]);
    if (this.#waiting.size === 0 && this.#openCount === 0) this.#finish();
  }

  expired(): void {
    for (const answer of this.#waiting) this.#fail(answer, codeOf['timed-out']);
    this.#waiting.clear();
    this.#finish();
  }

  #fail(answer: broker.PartitionAppended, errorCode: number): void {
    answer.errorCode = errorCode;
    answer.baseOffset = noOffset;
    answer.batchBaseOffsets = [];
    answer.appended = true;
    Object.assign(answer, this.#replicas.leaderOf(answer.topic, answer.partition));
  }

  #finish(): void {
    if (this.#slot !== undefined) this.#replicas.deadlines.clear(this, this.#slot);
    const answer = { correlationId: this.#correlationId, partitions: this.#answers };
    this.#done(this.#acks === acksNone ? undefined : answer);
  }
}

class PartitionAck implements AckWaiter {
  readonly #pending: PendingProduce;
  readonly #answer: broker.PartitionAppended;

  constructor(pending: PendingProduce, answer: broker.PartitionAppended) {
    this.#pending = pending;
    this.#answer = answer;
  }

  acknowledged(outcome: AckOutcome): void {
    this.#pending.acknowledged(this.#answer, outcome);
  }
}

/** Without anything appended. */
export function answerOf(
  asked: broker.PartitionRecords,
  errorCode: number,
  errorMessage = '',
): broker.PartitionAppended {
  return {
    topic: asked.topic,
    partition: asked.partition,
    errorCode,
    errorMessage,
    baseOffset: noOffset,
    logAppendTimeMs: -1,
    logStartOffset: noOffset,
    leaderId: -1,
    leaderEpoch: -1,
    batchBaseOffsets: [],
    appended: false,
  };
}
