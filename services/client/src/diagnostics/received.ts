import type { Clock } from '@naru/runtime';
import type { ConsumerRecord } from '../consumer/consumer-record.ts';
import { channels, type ReceiveMessage } from './channels.ts';

/** Tells of the records of one poll, once for each partition: its records are next to each other. `beganMs`: monotonic. */
export function announceReceived(
  reader: Pick<ReceiveMessage, 'clientId' | 'groupId'>,
  records: readonly ConsumerRecord<unknown, unknown>[],
  beganMs: number,
  clock: Clock,
): void {
  const sinceMs = clock.wallMs() - (clock.monotonicMs() - beganMs);
  for (let from = 0, to = 0; from < records.length; from = to) {
    const { topic, partition } = records[from] as ConsumerRecord<unknown, unknown>;
    while (records[to]?.partition === partition && records[to]?.topic === topic) to++;
    channels.receive.publish({ ...reader, topic, partition, records: records.slice(from, to), sinceMs });
  }
}
