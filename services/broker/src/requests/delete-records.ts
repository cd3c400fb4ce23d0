import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { isAlive, type MetadataImage, memberOf } from '../cluster/metadata-image.ts';
import type { MetadataPublisher } from '../cluster/metadata-publisher.ts';
import { isInternalTopic } from '../controller/topic-name.ts';
import { StorageError } from '../log/log-errors.ts';
import type { Expiring } from '../replication/deadlines.ts';
import { codeOf } from '../replication/error-codes.ts';
import type { Partition } from '../replication/partition.ts';
import type { ReplicaManager } from '../replication/replica-manager.ts';
import type { Watcher } from '../replication/waiters.ts';

export interface DeleteRecordsDependencies {
  readonly replicas: ReplicaManager;
  readonly publisher: MetadataPublisher;
}

/** The offset that stands for everything that is committed. */
const highWatermark = -1;
const unknown = -1;
const timeoutMsMax = 300_000;

/**
 * DeleteRecords (KIP-107): moves the log start of partitions that this broker leads. Answered when no live replica has anything below it, so that no new leader brings
 * the records back; REQUEST_TIMED_OUT when that takes too long: the leader has moved its log start all the same.
 *
 * - OFFSET_OUT_OF_RANGE beyond the high watermark: only what is committed is deleted.
 * - POLICY_VIOLATION for a topic that is only compacted, INVALID_TOPIC_EXCEPTION for an internal one: what their records mean depends on all of them.
 */
export async function deleteRecords(
  deps: DeleteRecordsDependencies,
  request: broker.DeleteRecordsRequest,
): Promise<broker.DeleteRecordsResponse> {
  const timeoutMs = Math.min(Math.max(0, request.timeoutMs), timeoutMsMax);
  return { partitions: await Promise.all(request.partitions.map((asked) => deleteFrom(deps, asked, timeoutMs))) };
}

async function deleteFrom(
  deps: DeleteRecordsDependencies,
  asked: broker.RecordsToDelete,
  timeoutMs: number,
): Promise<broker.RecordsDeleted> {
  if (isInternalTopic(asked.topic)) return refused(asked, errorCodes.INVALID_TOPIC_EXCEPTION, 'The topic is internal.');
  const found = deps.replicas.find(asked.topic, '', asked.partition);
  if (found.kind !== 'partition') return refused(asked, codeOf[found.kind]);
  const { partition } = found;
  const check = partition.checkLeader(unknown);
  if (check !== 'leader') return refused(asked, codeOf[check]);
  const policy = partition.log.config['cleanup.policy'];
  if (!policy.includes('delete')) {
    return refused(
      asked,
      errorCodes.POLICY_VIOLATION,
      `The topic is not deleted from: its cleanup.policy is ${policy}.`,
    );
  }
  const offset = asked.beforeOffset === highWatermark ? partition.highWatermark : asked.beforeOffset;
  if (offset < 0) return refused(asked, codeOf['out-of-range'], `${offset} is no offset; -1 is the high watermark.`);
  if (offset > partition.highWatermark || asked.beforeOffset === highWatermark) {
    // A new leader may know an older high watermark than clients have seen.
    if (!partition.state.knowsLatestOffset) return refused(asked, codeOf['offset-not-available']);
    if (offset > partition.highWatermark) {
      return refused(asked, codeOf['out-of-range'], `Only ${partition.highWatermark} records are committed.`);
    }
  }
  try {
    await partition.deleteRecordsBefore(offset);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return refused(asked, codeOf['storage-failed'], error.message);
  }
  const outcome = await new LowWatermarkWait(deps, partition, offset).within(timeoutMs);
  if (outcome !== 'reached') return refused(asked, codeOf[outcome]);
  return { ...refused(asked, errorCodes.NONE), lowWatermark: lowWatermarkOf(partition, deps.publisher.image) };
}

/** The smallest log start of all live replicas; -1 while one of them has not said. */
function lowWatermarkOf(partition: Partition, image: MetadataImage): number {
  const replicas = image.topics.get(partition.topic)?.partitions[partition.index]?.replicas ?? [];
  const self = partition.state.leader?.term.self.brokerId;
  const others = replicas.flatMap((id) => (id === self ? [] : (memberOf(image, id) ?? [])));
  const starts = others
    .filter((member) => isAlive(image, member))
    .map(({ brokerId, brokerEpoch }) => partition.followerLogStarts.of(brokerId, brokerEpoch) ?? unknown);
  return Math.min(partition.logStartOffset, ...starts);
}

class LowWatermarkWait implements Watcher, Expiring {
  readonly #deps: DeleteRecordsDependencies;
  readonly #partition: Partition;
  readonly #offset: number;
  readonly #leaderEpoch: number;
  #end: ((outcome: 'reached' | 'timed-out' | 'not-leader') => void) | undefined;

  constructor(deps: DeleteRecordsDependencies, partition: Partition, offset: number) {
    this.#deps = deps;
    this.#partition = partition;
    this.#offset = offset;
    this.#leaderEpoch = partition.leaderEpoch;
  }

  async within(timeoutMs: number): Promise<'reached' | 'timed-out' | 'not-leader'> {
    const { replicas, publisher } = this.#deps;
    const { watchers } = this.#partition.followerLogStarts;
    const ended = new Promise<'reached' | 'timed-out' | 'not-leader'>((resolve) => {
      this.#end = resolve;
    });
    const slot = replicas.deadlines.set(this, timeoutMs);
    watchers.add(this);
    // A broker that dies is waited for no longer.
    const unsubscribe = publisher.subscribe(() => this.wake());
    this.wake();
    try {
      return await ended;
    } finally {
      replicas.deadlines.clear(this, slot);
      watchers.delete(this);
      unsubscribe();
    }
  }

  wake(): void {
    if (this.#partition.checkLeader(this.#leaderEpoch) !== 'leader') this.#end?.('not-leader');
    else if (lowWatermarkOf(this.#partition, this.#deps.publisher.image) >= this.#offset) this.#end?.('reached');
  }

  expired(): void {
    this.#end?.('timed-out');
  }
}

function refused(asked: broker.RecordsToDelete, errorCode: number, errorMessage = ''): broker.RecordsDeleted {
  return { topic: asked.topic, partition: asked.partition, errorCode, errorMessage, lowWatermark: unknown };
}
