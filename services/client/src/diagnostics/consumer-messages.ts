import type { Clock } from '@naru/runtime';
import type { ConsumerRecord } from '../consumer/consumer-record.ts';
import type { TopicPartition } from '../topic-partition.ts';
import { type AssignmentMessage, channels, type ReceiveMessage } from './channels.ts';

/** Who reads. */
type Reader = Pick<ReceiveMessage, 'clientId' | 'groupId'>;

/** Tells of the records of one poll, once for each partition: its records are next to each other. `beganMs`: monotonic. */
export function announceReceived(
  reader: Reader,
  records: readonly ConsumerRecord<unknown, unknown>[],
  beganMs: number,
  clock: Clock,
): void {
  if (records.length === 0 || !channels.receive.hasSubscribers) return;
  const sinceMs = clock.wallMs() - (clock.monotonicMs() - beganMs);
  for (let from = 0, to = 0; from < records.length; from = to) {
    const { topic, partition } = records[from] as ConsumerRecord<unknown, unknown>;
    while (records[to]?.partition === partition && records[to]?.topic === topic) to++;
    channels.receive.publish({ ...reader, topic, partition, records: records.slice(from, to), sinceMs });
  }
}

export function announceAssignment(
  reader: Reader,
  partitions: readonly TopicPartition[],
  why: AssignmentMessage['why'],
): void {
  if (channels.assignment.hasSubscribers) channels.assignment.publish({ ...reader, partitions, why });
}
