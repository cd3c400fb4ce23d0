import type { StorageError } from '../log/log-errors.ts';
import type { ProducerRefusal } from '../log/producer-state.ts';

export type AppendOutcome =
  | {
      readonly kind: 'appended';
      /** Of the first record; -1 when that is a duplicate of which the offset is no longer known (row 42). */
      readonly baseOffset: number;
      /** For each batch, when some were duplicates; empty when all are new and follow each other. */
      readonly batchBaseOffsets: readonly number[];
      /** The offset after the last record: an acks=all append is replicated once the high watermark is here. */
      readonly endOffset: number;
      /** -1 with CreateTime. */
      readonly logAppendTimeMs: number;
      readonly logStartOffset: number;
    }
  | { readonly kind: 'not-leader' | 'not-enough-replicas' | ProducerRefusal }
  | { readonly kind: 'storage-failed'; readonly error: StorageError };

/** Whether this replica may answer a client as leader; a client's epoch is checked first, as Kafka does (KIP-320). */
export type LeaderCheck = 'leader' | 'not-leader' | 'fenced-leader-epoch' | 'unknown-leader-epoch' | 'storage-failed';

export interface FollowerRequest {
  readonly brokerId: number;
  readonly brokerEpoch: number;
  readonly leaderEpoch: number;
  readonly fetchOffset: number;
  readonly flushedOffset: number;
  readonly lastFetchedEpoch: number;
  readonly logStartOffset: number;
}

/** What became of a leader's answer. `ignored`: it belongs to a role or a position that is no longer. */
export type ReplicateOutcome =
  | 'appended'
  | 'ignored'
  /** A batch that fails its checks (row 21), or that does not continue the log: nothing was appended; ask again. */
  | 'refused'
  | 'storage-failed';
