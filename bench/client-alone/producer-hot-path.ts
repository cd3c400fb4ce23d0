// Records per second and microseconds of CPU per record of the producer by itself: `node bench/client-alone/producer-hot-path.ts
// [records] [record bytes] [batch.size] [callback|promise] [enable.idempotence]`. The sink is another process that answers at once.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Client } from '@naru/client';

const [recordsText = '2000000', sizeText = '100', batchText = '131072', form = 'callback', enableIdempotence = 'true'] =
  process.argv.slice(2);
const recordsCount = Number(recordsText);
const value = Buffer.alloc(Number(sizeText), 'x');
const sink = fork(fileURLToPath(new URL('null-broker.ts', import.meta.url)), ['3']);
const [{ port }] = (await once(sink, 'message')) as [{ port: number }];
const client = new Client({ bootstrapServers: `127.0.0.1:${port}` });
const producer = client.producer({ batchSize: Number(batchText), lingerMs: 5, enableIdempotence });

let acknowledged = 0;
async function run(count: number): Promise<void> {
  const record = { topic: 't', value };
  for (let i = 0; i < count; i++) {
    if (form === 'promise') {
      void producer.send(record).then(() => {
        acknowledged++;
      });
      if (producer.bufferAvailableBytes < 1_000_000) await producer.flush();
      continue;
    }
    const goesOn = producer.send(record, (error) => {
      if (error !== null) throw error;
      acknowledged++;
    });
    if (!goesOn) await producer.ready();
  }
  await producer.flush();
}

await run(200_000);
acknowledged = 0;
const cpuBefore = process.cpuUsage();
const startMs = performance.now();
await run(recordsCount);
const elapsedMs = performance.now() - startMs;
const { user, system } = process.cpuUsage(cpuBefore);
if (acknowledged !== recordsCount) throw new Error(`${acknowledged} of ${recordsCount} records were acknowledged`);
const perSecond = (recordsCount / elapsedMs) * 1_000;
const figures = [
  `${Math.round(perSecond).toLocaleString('en')} records/s`,
  `${((perSecond * value.length) / 1e6).toFixed(0)} MB/s`,
  `${((user + system) / recordsCount).toFixed(3)} µs CPU/record (user ${(user / recordsCount).toFixed(3)})`,
  `${producer.counters.requests} requests`,
];
console.log(`${form} ${value.length} B: ${figures.join(', ')}`);
await client.close();
sink.kill();
