// A partitioner of one's own: one large customer gets partition 0 for himself, all others share the rest by the hash that Kafka's clients use.
import { Client, type PartitionFunction, partitionForKey, serdes } from '@naru/client';
import { settings } from './settings.ts';

const large = Buffer.from('large');

const apart: PartitionFunction = ({ key, partitionsCount }) => {
  if (partitionsCount === 1 || (key !== null && large.equals(key))) return 0;
  const others = partitionsCount - 1;
  return 1 + (key === null ? Math.floor(Math.random() * others) : partitionForKey(key, others));
};

await using client = new Client({ bootstrapServers: settings.bootstrapServers });
await using producer = client.producer({
  partitioner: apart,
  key: serdes.string(),
  value: serdes.json<{ n: number }>(),
});

const records = Array.from({ length: settings.count }, (_, n) => ({
  topic: settings.topic,
  key: n % 2 === 0 ? 'large' : `customer-${n % 100}`,
  value: { n },
}));
const counts = Map.groupBy(await producer.sendMany(records), ({ partition }) => partition);
for (const [partition, written] of [...counts].sort(([a], [b]) => a - b)) {
  console.log(`partition ${partition}: ${written.length} records`);
}
