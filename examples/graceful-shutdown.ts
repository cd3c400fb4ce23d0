// Stops in order: SIGTERM or Ctrl-C lets the handlers in hand end, commits what they did and leaves the group. Run it again: it goes on with the next
// record, nothing is handled twice or left out.
import { appendFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, serdes } from '@naru/client';
import { settings } from './settings.ts';

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort()).once('SIGINT', () => stop.abort());

await using client = new Client({ bootstrapServers: settings.bootstrapServers });
await using consumer = client.consumer({
  groupId: settings.group ?? 'graceful-shutdown',
  autoOffsetReset: 'earliest',
  value: serdes.string(),
});
consumer.subscribe([settings.topic]);
console.log(`pid ${process.pid}`);

let count = 0;
await consumer.run({ concurrency: 8, signal: stop.signal, retry: { attempts: 3 } }, async (record) => {
  await delay(5);
  await appendFile(settings.out, `${record.value}\n`);
  count++;
});
await consumer.close({ timeoutMs: 10_000 });
console.log(`handled ${count} records, all of them committed`);
