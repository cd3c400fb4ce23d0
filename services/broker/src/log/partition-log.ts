import type { Logger } from '@naru/observability';
import type { Clock, Disk, Timers } from '@naru/runtime';
import type { LogConfig } from './log-config.ts';
import type { StorageError } from './log-errors.ts';
import type {
  EpochEndOffset,
  FetchedBatches,
  FollowerAppend,
  LeaderAppend,
  LogDamage,
  LogState,
  ReadResult,
  TimestampOffset,
} from './log-types.ts';

export interface PartitionLogOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly directory: string;
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly config: LogConfig;
  /** Called once, when a sync or write failed for good (row 56). */
  readonly onFailure?: (error: StorageError) => void;
  /** Called when a read meets a batch that fails its CRC (row 21). */
  readonly onDamage?: (damage: LogDamage) => void;
}

/** SIGNATURES FIRST; the bodies follow. */
export declare class PartitionLog {
  static open(options: PartitionLogOptions): Promise<PartitionLog>;
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  get config(): LogConfig;
  get state(): LogState;
  get damage(): LogDamage | undefined;
  get logStartOffset(): number;
  get logEndOffset(): number;
  /** Everything below is durable. */
  get flushedOffset(): number;
  get sizeBytes(): number;
  /** Epoch of the last batch or the last one assigned; -1 when there is none. */
  get latestEpoch(): number;
  readonly leaderEpochs: {
    endOffsetFor(epoch: number, logEndOffset: number): EpochEndOffset;
    /** Epoch of the batch at `offset`, -1 when unknown. */
    epochOf(offset: number): number;
    /** Durable when it resolves (row 62): before the first append of the epoch. */
    assign(epoch: number, startOffset: number): Promise<void>;
  };
  /** `records` were validated with `validateBatch(…, source: 'producer')`. The log keeps the bytes: do not reuse them. */
  appendAsLeader(records: Uint8Array, leaderEpoch: number, nowMs: number): LeaderAppend;
  appendAsFollower(records: Uint8Array): FollowerAppend;
  /** Served from memory, or undefined: then `read`. `upTo`: high watermark for consumers, log end offset for followers. */
  readNow(offset: number, maxBytes: number, upTo: number): FetchedBatches | undefined;
  read(offset: number, maxBytes: number, upTo: number): Promise<ReadResult>;
  /** Resolves when everything appended before the call is durable. Rejects with `StorageError`, for ever after a failure. */
  flush(): Promise<void>;
  /** Cuts the log so that `offset` is its end. A cut at or beyond the end still cuts the epochs (row 17) and clears damage. */
  truncateTo(offset: number): Promise<void>;
  truncateFullyAndStartAt(offset: number): Promise<void>;
  /** The first record whose timestamp is at least `timestampMs`; undefined when there is none. */
  offsetForTimestamp(timestampMs: number): Promise<TimestampOffset | undefined>;
  /** The record with the largest timestamp (KIP-734). */
  maxTimestampOffset(): Promise<TimestampOffset | undefined>;
  /** Moves the log start offset forward (DeleteRecords, or what a leader's answer says). Never beyond the log end. */
  deleteRecordsBefore(offset: number): Promise<void>;
  /** Deletes old segments, none at or above the high watermark. Returns how many. */
  applyRetention(nowMs: number, highWatermark: number): Promise<number>;
  updateConfig(config: LogConfig): void;
  /** Flushes and closes; the log is of no use afterwards. */
  close(): Promise<void>;
}
