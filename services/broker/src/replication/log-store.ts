import type { LogConfig } from '../log/log-config.ts';
import type { PartitionLog } from '../log/partition-log.ts';

export interface LogIdentity {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
}

/** What replication asks of the data directory; `broker.ts` fulfils it with the log manager, which owns the logs. */
export interface LogStore {
  /** The log of this topic id, made when it is not there. A directory of the name that belongs to another topic id is put aside (row 18). */
  open(identity: LogIdentity, config: LogConfig): Promise<PartitionLog>;
  /** Closes it and puts it aside, so that `open` makes an empty one; what is there is kept for people (rows 57, 58). */
  quarantine(identity: LogIdentity): Promise<void>;
  /** For good; only when it is committed that the topic id is deleted, or that this broker is no replica of it any more (row 58). */
  delete(identity: LogIdentity): Promise<void>;
  /** As checkpointed, within the log. */
  highWatermarkOf(log: PartitionLog): number;
}
