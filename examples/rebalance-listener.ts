// Commits when a partition is taken away: start it twice or three times, stop some with Ctrl-C, start others. The group shares the partitions out anew each time, and nothing
// is handled twice, although commits are rare. (After a kill -9 nobody can commit: then the others repeat what was handled since the last one.)
import { appendFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, type OffsetToCommit, serdes, type TopicPartition, WakeupError } from '@naru/client';
import { settings } from './settings.ts';

const commitEvery = 1_000;

await using client = new Client({ bootstrapServers: settings.bootstrapServers });
await using consumer = client.consumer({
  groupId: settings.group ?? 'rebalance-listener',
  autoOffsetReset: 'earliest',
  enableAutoCommit: false,
  maxPollRecords: 50,
  value: serdes.string(),
});

/** Handled and not committed, by partition. */
const open = new Map<string, OffsetToCommit>();
let sinceCommit = 0;
const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}-${partition}`;

async function commit(partitions: readonly TopicPartition[]): Promise<void> {
  const offsets = partitions.map((one) => open.get(keyOf(one))).filter((one) => one !== undefined);
  if (offsets.length > 0) await consumer.commitSync(offsets);
  for (const one of offsets) open.delete(keyOf(one));
}

const told = (what: string, partitions: readonly TopicPartition[]): void =>
  console.log(`${what}: ${partitions.map(keyOf).join(', ') || 'nothing'}`);

consumer.subscribe([settings.topic], {
  onPartitionsAssigned: (partitions) => told('assigned', partitions),
  // Called before others get them: what is committed now is where they begin.
  onPartitionsRevoked: async (partitions) => {
    await commit(partitions);
    told('revoked and committed', partitions);
  },
  // Too late: others have them already, and a commit would be refused.
  onPartitionsLost: (partitions) => {
    for (const one of partitions) open.delete(keyOf(one));
    told('lost', partitions);
  },
});
console.log(`pid ${process.pid}`);

let isStopping = false;
const stop = (): void => {
  isStopping = true;
  consumer.wakeup();
};
process.once('SIGINT', stop).once('SIGTERM', stop);

while (!isStopping) {
  const records = await consumer.poll(1_000).catch((error) => {
    if (error instanceof WakeupError) return [];
    throw error;
  });
  for (const { topic, partition, offset, leaderEpoch, value } of records) {
    await appendFile(settings.out, `${value}\n`);
    await delay(1);
    open.set(`${topic}-${partition}`, { topic, partition, offset: offset + 1n, leaderEpoch });
    sinceCommit++;
  }
  if (sinceCommit < commitEvery) continue;
  await commit(consumer.assignment());
  sinceCommit = 0;
}
// Closing revokes, and so commits.
