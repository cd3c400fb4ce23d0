// At most once: commit first, handle afterwards. Kill it in the middle (kill -9) and run it again: what was committed and not yet handled is
// never handled; nothing is handled twice.
import { appendFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, serdes } from '@naru/client';
import { settings } from './settings.ts';

await using client = new Client({ bootstrapServers: settings.bootstrapServers });
await using consumer = client.consumer({
  groupId: settings.group ?? 'at-most-once',
  // A static member: after a kill -9 it has its partitions back at once, not only after session.timeout.ms.
  groupInstanceId: 'one',
  autoOffsetReset: 'earliest',
  enableAutoCommit: false,
  value: serdes.string(),
});
consumer.subscribe([settings.topic]);
console.log(`pid ${process.pid}`);

for await (const batch of consumer.batches({ maxRecords: 100 })) {
  await batch.commit();
  for (const record of batch.records) {
    await appendFile(settings.out, `${record.value}\n`);
    await delay(1);
  }
  console.log(`${batch.topic}-${batch.partition}: handled up to offset ${batch.records.at(-1)?.offset}`);
}
