import {
  type BatchHeader,
  batchHeaderBytes,
  batchSizeAt,
  computeBatchCrc,
  RecordError,
  RecordReader,
  readBatchHeader,
} from '@naru/record';
import {
  CorruptRecordError,
  KafkaError,
  RecordDeserializationError,
  UnsupportedCompressionTypeError,
} from '../errors.ts';
import type { ConsumedHeader, ConsumerRecord, Deserializers } from './consumer-record.ts';
import type { PartitionState } from './partition-state.ts';

/** Records that one read passes over at most: between them heartbeats, aborts and rebalances have their turn. */
export const passedOverMax = 1_000;

/** The last whole batch in the bytes; undefined when there is none. */
export function lastBatch(bytes: Uint8Array): BatchHeader | undefined {
  let last = -1;
  let position = 0;
  for (let size = batchSizeAt(bytes, 0); size !== undefined; size = batchSizeAt(bytes, position)) {
    if (size < batchHeaderBytes || position + size > bytes.length) break;
    last = position;
    position += size;
  }
  return last < 0 ? undefined : readBatchHeader(bytes, last);
}

/**
 * A run of one partition's batches from a fetch answer, decoded batch by batch as the application asks for records: what is never read is never decompressed
 * or checked.
 */
export class FetchedData<K, V> {
  readonly #state: PartitionState<K, V>;
  readonly #bytes: Buffer;
  readonly #deserializers: Deserializers<K, V>;
  readonly #checkCrcs: boolean;
  #position = 0;
  #reader: RecordReader | undefined;
  /** The reader stands on a record that was not handed out yet. */
  #isHeld = false;

  constructor(
    state: PartitionState<K, V>,
    bytes: Uint8Array,
    options: { readonly deserializers: Deserializers<K, V>; readonly checkCrcs: boolean },
  ) {
    this.#state = state;
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#deserializers = options.deserializers;
    this.#checkCrcs = options.checkCrcs;
  }

  /** Bytes of batches that were not begun. */
  get remainingBytes(): number {
    return this.#bytes.length - this.#position;
  }

  /**
   * Moves up to `max` records to `into` and the partition's position with them. Returns how it stands: `more` (also when it had to pass over
   * many), `done`, or the error that the next record or batch gives; the position is then before it.
   */
  read(into: ConsumerRecord<K, V>[], max: number): 'more' | 'done' | KafkaError {
    const state = this.#state;
    const end = into.length + max;
    let passedOver = 0;
    try {
      while (into.length < end && passedOver < passedOverMax) {
        if (this.#reader === undefined && !this.#openBatch()) return 'done';
        const reader = this.#reader as RecordReader;
        if (!this.#isHeld && !reader.next()) {
          state.advanceTo(reader.header.lastOffset + 1, reader.header.partitionLeaderEpoch);
          this.#reader = undefined;
          continue;
        }
        this.#isHeld = true;
        // A batch may begin before the offset that was asked for.
        if (reader.offset >= state.position) {
          const record = this.#recordAt(reader);
          if (record === undefined) passedOver++;
          else into.push(record);
          state.advanceTo(reader.offset + 1, reader.header.partitionLeaderEpoch);
        }
        this.#isHeld = false;
      }
      return 'more';
    } catch (error) {
      return this.#failure(error);
    }
  }

  /** Begins the next batch that holds records for the application; false when there is none. */
  #openBatch(): boolean {
    const state = this.#state;
    for (;;) {
      const size = batchSizeAt(this.#bytes, this.#position);
      if (size === undefined || this.#position + size > this.#bytes.length) return false;
      const header = readBatchHeader(this.#bytes, this.#position);
      const batch = this.#bytes.subarray(this.#position, this.#position + size);
      if (header.lastOffset >= state.position && !header.isControl) {
        if (this.#checkCrcs) this.#checkCrc(header, batch);
        this.#reader = new RecordReader(batch);
        this.#position += size;
        return true;
      }
      this.#position += size;
      state.advanceTo(header.lastOffset + 1, header.partitionLeaderEpoch);
    }
  }

  #checkCrc(header: BatchHeader, batch: Buffer): void {
    if (computeBatchCrc(batch, 0, batch.length) === header.crc) return;
    const { topic, partition } = this.#state;
    throw new CorruptRecordError(
      `the batch at offset ${header.baseOffset} of ${topic}-${partition} fails its checksum`,
      {
        topic,
        partition,
      },
    );
  }

  #recordAt(reader: RecordReader): ConsumerRecord<K, V> | undefined {
    const { topic, partition } = this.#state;
    return this.#deserializers.apply({
      topic,
      partition,
      offset: BigInt(reader.offset),
      timestamp: reader.timestampMs,
      timestampType: reader.header.timestampType,
      key: reader.key as Buffer | null,
      value: reader.value as Buffer | null,
      headers: reader.headers as readonly ConsumedHeader[],
      leaderEpoch: reader.header.partitionLeaderEpoch,
    });
  }

  #failure(error: unknown): KafkaError {
    const { topic, partition, position } = this.#state;
    if (error instanceof KafkaError) return error;
    const offset = this.#isHeld ? (this.#reader?.offset ?? position) : position;
    const reason = error instanceof Error ? error.message : String(error);
    const context = { topic, partition, cause: error };
    if (error instanceof RecordError && error.code === 'corrupt') {
      return new CorruptRecordError(
        `the batch at offset ${offset} of ${topic}-${partition} is corrupt: ${reason}`,
        context,
      );
    }
    if (error instanceof RecordError && error.code === 'codec-unavailable') {
      return new UnsupportedCompressionTypeError(
        `the batch at offset ${offset} of ${topic}-${partition} cannot be read: ${reason}`,
        context,
      );
    }
    const message = `the record at offset ${offset} of ${topic}-${partition} cannot be decoded: ${reason}`;
    return new RecordDeserializationError(message, { ...context, offset: BigInt(offset) });
  }
}
