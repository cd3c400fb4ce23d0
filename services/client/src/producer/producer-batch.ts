import {
  BatchBuilder,
  batchHeaderBytes,
  type Compression,
  type HeaderEntry,
  RecordReader,
  setProducer,
} from '@naru/record';
import { assert } from '@naru/runtime';
import { type BatchEndMessage, channels, type DiagnosedBatch } from '../diagnostics/channels.ts';
import type { KafkaError } from '../errors.ts';
import { type Numbering, numberedFrom } from './partition-sequence.ts';
import type { SendCallback } from './producer-record.ts';

/** A fresh batch reserves this much; it grows to `batch.size` when the records come. */
const firstCapacityBytes = 1_024;
/** What the builder may want beyond the sizes it will write: the longest varint. */
const builderSlackBytes = 8;

export interface BatchSettings {
  /** Grows from batch to batch of a producer; the parts of a divided batch keep it. */
  readonly sequence: number;
  readonly topic: string;
  readonly partition: number;
  readonly clientId: string;
  readonly compression: Compression;
  readonly compressionLevel: number | undefined;
  /** Size of the partition's last batch: the next one will be about as large. */
  readonly expectedBytes: number;
  /** Bytes over which the batch takes no second record: before compression, for that is what it holds in memory. */
  readonly maxBytes: number;
  /** Bytes of `buffer.memory` that the batch holds until it is released. */
  readonly reservedBytes: number;
  /** Monotonic milliseconds. */
  readonly createdMs: number;
  readonly deadlineMs: number;
}

/**
 * Records of one partition on their way: filled, closed (`bytes`), sent, perhaps sent again, settled. The records are settled once;
 * the memory is released once, and never while a request with these bytes is open (row 53): a batch that ran
 * into its delivery timeout on the wire is settled first and released when the answer or the end of the connection comes.
 */
export class ProducerBatch {
  readonly settings: BatchSettings;
  /** How often it was sent and not accepted. */
  attempts = 0;
  /** An attempt ended without a clear answer: whatever comes later, the records may be in the log (row 55). */
  mayBeAppended = false;
  /** The broker refused a request in which it travelled with others: send it by itself. */
  mustGoAlone = false;
  /** The records know how it ended. */
  isSettled = false;
  /** Its share of `buffer.memory` was given back. */
  isReleased = false;
  readonly #builder: BatchBuilder;
  #callbacks: (SendCallback | undefined)[] = [];
  #timestamps: number[] = [];
  #bytes: Uint8Array | undefined;
  #recordsCount = 0;
  #numbering: Numbering | undefined;
  /** What it is called by those who watch the producer; made when there are any. */
  #diagnosed: DiagnosedBatch | undefined;

  constructor(settings: BatchSettings) {
    this.settings = settings;
    const capacityBytes = Math.min(settings.maxBytes, Math.max(firstCapacityBytes, settings.expectedBytes));
    this.#builder = new BatchBuilder({
      compression: settings.compression,
      capacityBytes: capacityBytes + builderSlackBytes,
      ...(settings.compressionLevel === undefined ? {} : { compressionLevel: settings.compressionLevel }),
    });
  }

  /** Also after the batch was settled. */
  get recordsCount(): number {
    return this.#recordsCount;
  }

  /** Its place in the sequence of an idempotent producer, from the first time that it is sent. */
  get numbering(): Numbering | undefined {
    return this.#numbering;
  }

  /** Gives the batch its sequence numbers, which it keeps over all attempts. */
  number(numbering: Numbering): void {
    assert(this.#numbering === undefined, 'a batch has one place in the sequence');
    const { producerId, epoch, firstSequence } = numbering;
    this.#numbering = numbering;
    if (this.#bytes === undefined) this.#builder.setProducer(producerId, epoch, firstSequence);
    else setProducer(this.#bytes, 0, producerId, epoch, firstSequence);
  }

  /** It will get other numbers: only for a batch that is in no log for certain, or it could get there twice. */
  forgetNumbering(): void {
    assert(!this.mayBeAppended, 'what may be in the log keeps its sequence numbers (C4)');
    this.#numbering = undefined;
  }

  get isClosed(): boolean {
    return this.#bytes !== undefined;
  }

  get uncompressedBytes(): number {
    return this.#builder.uncompressedBytes;
  }

  /** On the wire; before it is closed, what it would be without compression. */
  get sizeBytes(): number {
    return this.#bytes?.length ?? this.#builder.uncompressedBytes;
  }

  /** `recordBytes`: an upper bound of the record. An empty batch takes any. */
  hasRoomFor(recordBytes: number): boolean {
    return this.#bytes === undefined && this.#builder.uncompressedBytes + recordBytes <= this.settings.maxBytes;
  }

  append(
    key: Uint8Array | null,
    value: Uint8Array | null,
    timestampMs: number,
    headers: readonly HeaderEntry[],
    callback: SendCallback | undefined,
  ): void {
    if (channels.append.hasSubscribers) {
      channels.append.publish({ batch: this.#named, headers: headers as HeaderEntry[] });
    }
    this.#builder.append(key, value, timestampMs, headers);
    this.#callbacks.push(callback);
    this.#timestamps.push(timestampMs);
    this.#recordsCount++;
  }

  /** The batch as it goes over the wire; the same bytes at every attempt. No record is added afterwards. */
  close(): Uint8Array {
    this.#bytes ??= this.#builder.close();
    return this.#bytes;
  }

  /** `baseOffset` -1: unknown (acks=0). `logAppendTimeMs` -1: the records kept their own timestamps. */
  succeed(baseOffset: number, logAppendTimeMs: number): void {
    if (this.isSettled) return;
    this.isSettled = true;
    if (channels.batchEnd.hasSubscribers)
      this.#announceEnd({ outcome: 'acknowledged', baseOffset: BigInt(baseOffset) });
    const { topic, partition } = this.settings;
    const callbacks = this.#callbacks;
    const timestamps = this.#timestamps;
    for (let i = 0; i < callbacks.length; i++) {
      const offset = BigInt(baseOffset < 0 ? -1 : baseOffset + i);
      const timestamp = logAppendTimeMs < 0 ? (timestamps[i] as number) : logAppendTimeMs;
      callbacks[i]?.(null, { topic, partition, offset, timestamp });
    }
    this.#forget();
  }

  fail(error: KafkaError): void {
    if (this.isSettled) return;
    this.isSettled = true;
    if (channels.batchEnd.hasSubscribers) this.#announceEnd({ outcome: 'failed', error });
    for (const callback of this.#callbacks) callback?.(error, undefined);
    this.#forget();
  }

  /** Two batches with one half of the records each, for a topic whose `max.message.bytes` is smaller. Only when closed and of two records or more. */
  split(): [ProducerBatch, ProducerBatch] {
    const half = this.#recordsCount >> 1;
    const reader = new RecordReader(this.close());
    const { reservedBytes } = this.settings;
    const firstReserved = Math.floor((reservedBytes * half) / this.#recordsCount);
    const parts: [ProducerBatch, ProducerBatch] = [
      this.#part(half, firstReserved),
      this.#part(this.#recordsCount - half, reservedBytes - firstReserved),
    ];
    for (let i = 0; reader.next(); i++) {
      const part = i < half ? parts[0] : parts[1];
      part.append(reader.key, reader.value, reader.timestampMs, reader.headers, this.#callbacks[i]);
    }
    if (this.#numbering !== undefined) {
      parts[0].number(this.#numbering);
      parts[1].number(numberedFrom(this.#numbering, half));
    }
    this.isSettled = true;
    if (channels.batchEnd.hasSubscribers) this.#announceEnd({ outcome: 'divided' });
    this.#forget();
    return parts;
  }

  /** A batch for this many of the records; the parts share what the whole had reserved. */
  #part(recordsCount: number, reservedBytes: number): ProducerBatch {
    const share = recordsCount / this.#recordsCount;
    const expectedBytes = Math.ceil((this.uncompressedBytes - batchHeaderBytes) * share) + batchHeaderBytes;
    const part = new ProducerBatch({ ...this.settings, reservedBytes, expectedBytes });
    part.attempts = this.attempts;
    part.mayBeAppended = this.mayBeAppended;
    part.mustGoAlone = true;
    return part;
  }

  get #named(): DiagnosedBatch {
    const { topic, partition, clientId } = this.settings;
    this.#diagnosed ??= { topic, partition, clientId };
    return this.#diagnosed;
  }

  #announceEnd(end: Pick<BatchEndMessage, 'outcome' | 'baseOffset' | 'error'>): void {
    const { recordsCount, sizeBytes: bytes, attempts: failedAttempts } = this;
    channels.batchEnd.publish({ batch: this.#named, recordsCount, bytes, failedAttempts, ...end });
  }

  #forget(): void {
    this.#callbacks = [];
    this.#timestamps = [];
  }
}
