import type { LogConfig } from '../log/log-config.ts';
import type { StorageError } from '../log/log-errors.ts';
import type { LogDamage } from '../log/log-types.ts';
import type { PartitionLog } from '../log/partition-log.ts';

export interface LogIdentity {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
}

/** What a log tells its owner between calls. */
export interface LogEvents {
  /** A sync or write failed for good (row 56). */
  onFailure(error: StorageError): void;
  /** A read met a batch that fails its CRC (row 21). */
  onDamage(damage: LogDamage): void;
}

/** What replication asks of the data directory; `broker.ts` fulfils it with the log manager. */
export interface LogStore {
  /** Opens, recovers or creates. A directory of the name that belongs to another topic id is put aside first (row 18). */
  open(identity: LogIdentity, config: LogConfig, events: LogEvents): Promise<PartitionLog>;
  /** Closes and renames the directory, so that `open` starts with an empty log; what is there is kept for people (rows 57, 58). */
  quarantine(identity: LogIdentity): Promise<void>;
  /** For good; only for a topic id whose deletion is committed (row 58). */
  delete(identity: LogIdentity): Promise<void>;
  /** As checkpointed; 0 when unknown. */
  highWatermarkOf(identity: LogIdentity): number;
  checkpointHighWatermarks(
    collect: () => readonly (readonly [topic: string, partition: number, highWatermark: number])[],
  ): Promise<void>;
}
