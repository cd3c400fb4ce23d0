import type { Client, ConsumerOptions } from '@naru/client';
import type { CheckList } from './check-list.ts';
import type { Command, ConsumedRecord, Result } from './foreign-client.ts';

export interface Sharing {
  readonly client: string;
  readonly run: (command: Command) => Promise<Result | undefined>;
  readonly sdk: Client;
  /** Of four partitions. */
  readonly topic: string;
  /** Of the other client, and of our SDK. */
  readonly protocol: Protocol;
  readonly ourProtocol: Protocol;
}

type Protocol = 'classic' | 'consumer';

const partitions = 4;
const recordsCount = 40;
/** Of 200 ms. */
const pollsMax = 100;

/**
 * Our SDK is in the group already, and gives half of the partitions to the other client. With other protocols the group has members of both (KIP-848): it is
 * upgraded when the other client comes, or the other client joins as a classic member.
 */
export async function sharesGroup(sharing: Sharing, list: CheckList): Promise<void> {
  const { client, run, sdk, topic, protocol, ourProtocol } = sharing;
  const group = `${topic}.members`;
  const assignors = ourProtocol === 'classic' ? commonAssignors(client) : {};
  await using consumer = sdk.consumer({
    groupId: group,
    autoOffsetReset: 'earliest',
    groupProtocol: ourProtocol,
    ...assignors,
  });
  consumer.subscribe([topic]);
  const ours: string[] = [];
  const pollUntil = async (isEnough: () => boolean): Promise<void> => {
    for (let i = 0; i < pollsMax && !isEnough(); i++) {
      for (const { key, value } of await consumer.poll(200)) ours.push(`${key}=${value}`);
    }
  };
  await pollUntil(() => consumer.assignment().length === partitions);
  const half = recordsCount / 2;
  const theirs = run({ do: 'consumeInGroup', topic, group, count: half, protocol });
  await pollUntil(() => consumer.assignment().length === partitions / 2);
  const records = Array.from({ length: recordsCount }, (_, i) => ({ key: `k${i}`, value: `v${i}` }));
  await using producer = sdk.producer({ acks: 'all' });
  const written = records.map((record, i) => ({ topic, ...record, partition: i % partitions, headers: { h: 'x' } }));
  await producer.sendMany(written);
  await pollUntil(() => ours.length >= half);
  const result = await theirs;
  const name = `shares a group with our SDK (${ourProtocol === protocol ? protocol : `${protocol}, ours ${ourProtocol}`})`;
  if (result === undefined || !('value' in result)) {
    list.record(name, result);
    return;
  }
  const found = (result.value as ConsumedRecord[]).map(({ key, value }) => `${key}=${value}`);
  const read = [...found, ...ours].sort().join();
  const expected = records.map(({ key, value }) => `${key}=${value}`).sort();
  list.verdict(name, read === expected.join(), `${found.length} there and ${ours.length} here, of ${recordsCount}`);
}

/** librdkafka from Python is asked for the cooperative assignor; KafkaJS has one of its own. */
function commonAssignors(client: string): ConsumerOptions<Buffer, Buffer> {
  if (client === 'confluent') return { partitionAssignmentStrategy: 'cooperative-sticky' };
  return { partitionAssignmentStrategy: ['range', 'roundrobin', 'RoundRobinAssigner'] };
}
