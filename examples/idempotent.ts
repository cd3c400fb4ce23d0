// Idempotent: each record is in the log once and in its place, whatever had to be sent again. Kill the partition's leader while it runs (kill -9): the
// producer sends what was not acknowledged to the next leader, which recognises what it has already.
//
// "Once" ends where the producer ends: a program that sends the same again after a crash writes another record. This one asks the log first how far it
// came: kill it, too, and run it again. (A request of the dead one that is still under way at this moment could come between: fencing it off takes
// a transactional.id. And there must be one such program for a partition.)
import { Client, serdes } from '@naru/client';
import { settings } from './settings.ts';

const partition = { topic: settings.topic, partition: 0 };

await using client = new Client({ bootstrapServers: settings.bootstrapServers });
await using producer = client.producer({ value: serdes.string() }); // enable.idempotence and acks=all are the default
console.log(`pid ${process.pid}`);

const first = (await lastNumber()) + 1;
if (first > 0) console.log(`the log ends with ${first - 1}`);
let failure: Error | undefined;
for (let n = first; n < settings.count; n++) {
  const isRoomy = producer.send({ ...partition, value: String(n) }, (error, metadata) => {
    failure ??= error ?? undefined;
    if (n % 1000 === 0) console.log(`${n} is at offset ${metadata?.offset}`);
  });
  if (!isRoomy) await producer.ready();
  if (n % 10 === 0) await producer.flush();
  // Everything that can be tried again was tried for delivery.timeout.ms. Going on would leave a hole.
  if (failure !== undefined) throw failure;
}
await producer.flush();
if (failure !== undefined) throw failure;
console.log(`${settings.count} records are in the log`);

/** -1 when the log is empty. */
async function lastNumber(): Promise<number> {
  await using consumer = client.consumer({ autoOffsetReset: 'earliest', value: serdes.string() });
  const [end] = await consumer.endOffsets([partition]);
  if (end === undefined || end.offset === 0n) return -1;
  consumer.assign([partition]);
  consumer.seek(partition, end.offset - 1n);
  const [last] = await consumer.poll(10_000);
  return Number(last?.value ?? -1);
}
