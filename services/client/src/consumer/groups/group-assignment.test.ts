import { decodeAssignment, encodeSubscription } from '@naru/kafka-protocol';
import { describe, expect, test } from 'vitest';
import { parseConsumerConfig } from '../../config.ts';
import { ConfigError, InconsistentGroupProtocolError } from '../../errors.ts';
import { silentLogger } from '../../logger.ts';
import type { Assignor } from './assignors/assignor.ts';
import { assignGroup, assignorsOf, protocolOf } from './group-assignment.ts';

const parts = { count: async (topics: readonly string[]) => new Map(topics.map((t) => [t, 3])), logger: silentLogger };
const joined = (memberId: string, topics: string[]) => ({
  memberId,
  groupInstanceId: '',
  metadata: encodeSubscription({ topics, userData: null, ownedPartitions: [], generationId: -1, rackId: null }),
});

/** Everything to the last one. */
const greedy: Assignor = {
  name: 'greedy',
  protocols: ['cooperative', 'eager'],
  assign: (partitions, members) => {
    const all = [...partitions].flatMap(([topic, count]) =>
      Array.from({ length: count }, (_, partition) => ({ topic, partition })),
    );
    return new Map(members.map(({ memberId }, i) => [memberId, i === members.length - 1 ? all : []]));
  },
};

describe('partition.assignment.strategy', () => {
  test('Kafka 4 defaults, short names, Java names', () => {
    const config = parseConsumerConfig({ bootstrapServers: 'b:1' }, {});
    expect(assignorsOf(config['partition.assignment.strategy']).map(({ name }) => name)).toEqual([
      'range',
      'cooperative-sticky',
    ]);
    const java = 'org.apache.kafka.clients.consumer.CooperativeStickyAssignor';
    expect(assignorsOf([java]).map(({ name }) => name)).toEqual(['cooperative-sticky']);
    expect(() => assignorsOf(['rnage'])).toThrow(ConfigError);
    expect(() => assignorsOf([])).toThrow(ConfigError);
  });

  test('cooperative only when every assignor is; a list without a protocol in common is refused (KIP-429)', () => {
    expect(protocolOf(assignorsOf(['cooperative-sticky']))).toBe('cooperative');
    expect(protocolOf(assignorsOf(['cooperative-sticky', 'range']))).toBe('eager');
    const only: Assignor = { ...greedy, name: 'only-cooperative', protocols: ['cooperative'] };
    expect(() => assignorsOf(['only-cooperative', 'range'], [only])).toThrow(ConfigError);
  });

  test('settings that cannot work are refused', () => {
    const parse = (input: Record<string, unknown>) => () =>
      parseConsumerConfig({ bootstrapServers: 'b:1' }, input as never);
    expect(parse({ sessionTimeoutMs: 3_000 })).toThrow("'heartbeat.interval.ms' must be below 'session.timeout.ms'");
    expect(parse({ groupInstanceId: 'i' })).toThrow("'group.instance.id' needs a 'group.id'");
  });
});

/** As KafkaJS 2 encodes them (assignerProtocol.js): version 1 without the fields that version 1 added. */
function kafkaJsSubscription(topic: string): Uint8Array {
  const name = Buffer.from(topic);
  const bytes = Buffer.alloc(2 + 4 + 2 + name.length + 4);
  bytes.writeInt16BE(1, 0);
  bytes.writeInt32BE(1, 2);
  bytes.writeInt16BE(name.length, 6);
  name.copy(bytes, 8);
  return bytes;
}

describe('the leader', () => {
  test('a KafkaJS member gets its share under the name of its assigner, RoundRobinAssigner', async () => {
    const assignors = assignorsOf(['RoundRobinAssigner', 'range']);
    const other = { memberId: 'b-kafkajs', groupInstanceId: '', metadata: kafkaJsSubscription('t') };
    const result = await assignGroup(assignors, 'RoundRobinAssigner', [joined('a', ['t']), other], parts);
    const numbers = result.map(({ memberId, assignment }) => [
      memberId,
      decodeAssignment(assignment).partitions.map(({ partition }) => partition),
    ]);
    expect(numbers).toEqual([
      ['a', [0, 2]],
      ['b-kafkajs', [1]],
    ]);
  });

  test('an assignor of one’s own decides; members that cannot be read get nothing and stop nobody', async () => {
    const assignors = assignorsOf(['greedy'], [greedy]);
    const broken = { memberId: 'broken', groupInstanceId: '', metadata: Buffer.from([9]) };
    const result = await assignGroup(assignors, 'greedy', [broken, joined('a', ['t']), joined('b', ['t'])], parts);
    const byMember = Object.fromEntries(
      result.map((r) => [r.memberId, decodeAssignment(r.assignment).partitions.length]),
    );
    expect(byMember).toEqual({ broken: 0, a: 0, b: 3 });
  });

  test('an assignor that was never offered is an error', async () => {
    const failed = assignGroup(assignorsOf(['range']), 'sticky', [joined('a', ['t'])], parts);
    await expect(failed).rejects.toBeInstanceOf(InconsistentGroupProtocolError);
  });
});
