import { errorCodes } from '@naru/kafka-protocol';
import { RecordError, RecordReader, validateBatch } from '@naru/record';
import type { broker } from '@naru/rpc';
import { isInternalTopic } from '../controller/topic-name.ts';
import { isCompacted } from '../log/log-config.ts';
import { codeOf, invalidBatchCodeOf, type Outcome } from '../replication/error-codes.ts';
import { type Append, GatheredAppends } from '../replication/gathered-appends.ts';
import type { Partition } from '../replication/partition.ts';
import type { AppendOutcome } from '../replication/partition-outcomes.ts';
import type { ReplicaManager } from '../replication/replica-manager.ts';
import { HeldRecords } from './held-records.ts';
import { answerOf, PendingProduce } from './pending-produce.ts';

/** acks as on the wire. */
const acksAll = -1;
const acksLeader = 1;
const acksNone = 0;

/**
 * Produce: appends whole batches, all or none of a partition's, and answers when their acks are fulfilled.
 *
 * Requests are appended in the order in which they are handed in, those of one piece of work together (`GatheredAppends`). The batches are checked (length, magic, CRC, header)
 * but not opened, unless the topic is compacted: then every record must have a key. The log keeps the request's bytes.
 *
 * - acks=0: never an answer; both fronts end the connection or stream when it is refused. acks=1: after the leader's append. acks=all: when the high watermark has passed the last record.
 * - NOT_ENOUGH_REPLICAS: nothing was appended. NOT_ENOUGH_REPLICAS_AFTER_APPEND, REQUEST_TIMED_OUT: it was, and may stay (row 55).
 * - Batches of an idempotent producer that are in the log already are not appended again and answered with where they are (KIP-98, rows
 *   39-42): base_offset and, because there may be others between them, batch_base_offsets; DUPLICATE_SEQUENCE_NUMBER, a
 *   success, when the place of the first is no longer known.
 * - Records for a partition that this broker is about to lead wait for that (`HeldRecords`).
 * - One partition's error does not touch the others.
 */
export class ProduceHandler {
  readonly #replicas: ReplicaManager;
  readonly #held: HeldRecords;
  readonly #gathered = new GatheredAppends();

  constructor(replicas: ReplicaManager) {
    this.#replicas = replicas;
    this.#held = new HeldRecords(replicas);
  }

  /** `done` is called once, possibly before this returns; with undefined when there is no answer to send. `isUnanswered`: the client will not hear of a refusal. */
  handle(
    request: broker.ProduceRequest,
    done: (response: broker.ProduceResponse | undefined) => void,
    isUnanswered = request.acks === acksNone,
  ): void {
    const { acks } = request;
    if (acks !== acksAll && acks !== acksLeader && acks !== acksNone) {
      const partitions = request.partitions.map((asked) => answerOf(asked, codeOf['invalid-required-acks']));
      done({ correlationId: request.correlationId, partitions });
      return;
    }
    const pending = new PendingProduce(request, this.#replicas, done);
    for (const asked of request.partitions) {
      const append = new PendingAppend(asked, acks === acksAll, pending, this.#replicas);
      if (this.#held.mustWait(asked, isUnanswered)) this.#held.add(asked, () => this.#append(append), isUnanswered);
      else this.#append(append);
    }
    pending.allReserved();
  }

  #append(append: PendingAppend): void {
    const { asked } = append;
    // Brokers read their own state from there: a record of anybody else's would become part of it.
    if (isInternalTopic(asked.topic)) {
      const message = `clients do not write to ${asked.topic}`;
      append.answer(answerOf(asked, errorCodes.INVALID_TOPIC_EXCEPTION, message));
      return;
    }
    const found = this.#replicas.find(asked.topic, asked.topicId, asked.partition);
    // Who does not lead cannot say whether the records would do.
    if (found.kind !== 'partition') append.refuse(found.kind);
    else if (!found.partition.isLeader) append.refuse('not-leader');
    else {
      const invalid = checkRecords(asked, found.partition);
      if (invalid === undefined) this.#gathered.add(found.partition, append);
      else append.answer(invalid);
    }
  }
}

/** What one request wants to have appended to one partition. */
class PendingAppend implements Append {
  readonly asked: broker.PartitionRecords;
  readonly requiresAll: boolean;
  readonly #pending: PendingProduce;
  readonly #place: number;
  readonly #replicas: ReplicaManager;

  constructor(asked: broker.PartitionRecords, requiresAll: boolean, pending: PendingProduce, replicas: ReplicaManager) {
    this.asked = asked;
    this.requiresAll = requiresAll;
    this.#pending = pending;
    this.#place = pending.reserve();
    this.#replicas = replicas;
  }

  get records(): Uint8Array {
    return this.asked.records;
  }

  answer(answer: broker.PartitionAppended): void {
    this.#pending.fill(this.#place, answer);
  }

  refuse(outcome: Outcome): void {
    const { topic, partition } = this.asked;
    this.answer({ ...answerOf(this.asked, codeOf[outcome]), ...this.#replicas.leaderOf(topic, partition) });
  }

  settle(outcome: AppendOutcome, partition: Partition): void {
    if (outcome.kind === 'storage-failed') {
      this.answer(answerOf(this.asked, codeOf['storage-failed'], outcome.error.message));
    } else if (outcome.kind !== 'appended') this.refuse(outcome.kind);
    else {
      const answer = answerOf(this.asked, outcome.baseOffset < 0 ? codeOf['duplicate-sequence'] : errorCodes.NONE);
      answer.baseOffset = outcome.baseOffset;
      answer.logAppendTimeMs = outcome.logAppendTimeMs;
      answer.logStartOffset = outcome.logStartOffset;
      answer.batchBaseOffsets = outcome.batchBaseOffsets as number[];
      if (this.requiresAll) this.#pending.await(partition, outcome.endOffset, answer);
      this.answer(answer);
    }
  }
}

/** Every batch before the first is appended: all or none. Undefined when they will do. */
function checkRecords(asked: broker.PartitionRecords, { log }: Partition): broker.PartitionAppended | undefined {
  const { records } = asked;
  const label = `topic partition ${asked.topic}-${asked.partition}`;
  const limits = { maxBatchBytes: log.config['max.message.bytes'], source: 'producer' } as const;
  if (records.length === 0) return answerOf(asked, codeOf['invalid-record'], 'no record batch');
  if (records.length > log.config['segment.bytes']) {
    const message = `${records.length} bytes in one request are more than segment.bytes ${log.config['segment.bytes']}`;
    return answerOf(asked, errorCodes.RECORD_LIST_TOO_LARGE, message);
  }
  for (let position = 0; position < records.length; ) {
    const validation = validateBatch(records, position, limits);
    if (validation.kind === 'invalid') {
      return answerOf(asked, invalidBatchCodeOf[validation.reason], validation.message);
    }
    if (isCompacted(log.config)) {
      const flaw = keyFlaw(records.subarray(position, validation.end));
      if (flaw !== undefined) return answerOf(asked, codeOf['invalid-record'], `${flaw} in ${label}`);
    }
    position = validation.end;
  }
  return undefined;
}

/** Only the records of compacted topics are looked at: one without a key could never be replaced, and what cannot be read could never be cleaned. */
function keyFlaw(batch: Uint8Array): string | undefined {
  try {
    const reader = new RecordReader(batch);
    while (reader.next()) {
      if (reader.key === null) return 'Compacted topic cannot accept message without key';
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    return `Compacted topic cannot accept records that cannot be read (${error.message})`;
  }
}
