import { errorCodes } from '@naru/kafka-protocol';
import { sleep } from '@naru/runtime';
import { describe, expect, test } from 'vitest';
import {
  CommitFailedError,
  FencedInstanceIdError,
  IllegalStateError,
  InconsistentGroupProtocolError,
  NoOffsetForPartitionError,
  RebalanceInProgressError,
} from '../../errors.ts';
import type { ScriptedLog } from '../../scripted/scripted-log.ts';
import { fill, Member, setUp, textOf, until } from '../../scripted/scripted-members.ts';
import type { ConsumerRecord } from '../consumer-record.ts';

describe('joining', () => {
  test('one member gets everything, reads it and commits what it processed', async () => {
    const { cluster, groups, logs, consumer } = await setUp();
    for (const log of logs) fill(log, 10);
    const member = new Member(consumer()).start();
    await until(cluster, () => member.read.length === 40);
    expect(member.partitions).toEqual([0, 1, 2, 3]);
    expect(member.events).toEqual(['assigned 0,1,2,3']);
    await cluster.run(member.stop());
    expect([...groups.offsets.values()].map(({ offset }) => offset)).toEqual([10, 10, 10, 10]);
    expect(groups.members.size, 'it left').toBe(0);
    expect(member.events.at(-1)).toBe('revoked 0,1,2,3');
  });

  test.each([['range'], ['roundrobin'], ['sticky'], ['cooperative-sticky'], ['range', 'cooperative-sticky']])(
    'a second member shares the partitions, and gives them back when it leaves: %s',
    async (...strategy) => {
      const { cluster, consumer } = await setUp();
      const a = new Member(consumer({ partitionAssignmentStrategy: strategy })).start();
      await until(cluster, () => a.partitions.length === 4);
      const b = new Member(consumer({ partitionAssignmentStrategy: strategy })).start();
      await until(cluster, () => a.partitions.length === 2 && b.partitions.length === 2);
      expect([...a.partitions, ...b.partitions].sort()).toEqual([0, 1, 2, 3]);
      await cluster.run(b.stop());
      await until(cluster, () => a.partitions.length === 4);
      expect(a.error).toBeUndefined();
    },
  );

  test('cooperative: what stays is neither revoked nor paused, and never at two members (KIP-429, G1)', async () => {
    const { cluster, logs, consumer } = await setUp();
    const options = { partitionAssignmentStrategy: 'cooperative-sticky' };
    const a = new Member(consumer(options)).start();
    await until(cluster, () => a.partitions.length === 4);
    const members: Member[] = [a];
    cluster.simulation.afterEvent(() => {
      const held = members.flatMap((member) => member.partitions);
      expect(new Set(held).size).toBe(held.length);
    });
    members.push(new Member(consumer(options)).start());
    await until(cluster, () => members.every((member) => member.partitions.length === 2));
    // Two rebalances; the second, which gives the partitions to the other, may just end.
    const changes = a.events.filter((event) => event !== 'assigned ');
    expect(changes).toEqual(['assigned 0,1,2,3', expect.stringMatching(/^revoked \d,\d$/)]);
    for (const log of logs) fill(log, 1);
    await until(cluster, () => members.flatMap((member) => member.read).length === 4);
  });

  test('a pattern takes every topic that matches, but no internal ones; new ones at the next look', async () => {
    const { cluster, consumer } = await setUp(1);
    cluster.addTopic('tea', 1);
    cluster.addTopic('coffee', 1);
    const one = consumer({ metadataMaxAgeMs: 2_000 });
    const topics = (): string[] => [...new Set(one.assignment().map(({ topic }) => topic))].sort();
    one.subscribe(/^t/g);
    await cluster.run(one.poll(500));
    await until(cluster, () => topics().join() === 't,tea').catch(() => expect(topics()).toEqual(['t', 'tea']));
    cluster.addTopic('toast', 1);
    for (let i = 0; i < 10 && topics().length < 3; i++) await cluster.run(one.poll(500));
    expect(topics()).toEqual(['t', 'tea', 'toast']);
  });

  test('a topic that does not exist yet is found when it does', async () => {
    const { cluster, consumer } = await setUp(1);
    const one = consumer();
    one.subscribe(['later']);
    expect(await cluster.run(one.poll(2_000))).toEqual([]);
    cluster.addTopic('later', 2);
    for (let i = 0; i < 20 && one.assignment().length === 0; i++) await cluster.run(one.poll(500));
    expect(one.assignment()).toHaveLength(2);
  });

  test('no assignor in common: poll fails with that, and the group is asked again by the next', async () => {
    const { cluster, groups, consumer } = await setUp();
    groups.onCall = (api) =>
      api === 'joinGroup' ? { kind: 'refuse', code: errorCodes.INCONSISTENT_GROUP_PROTOCOL } : { kind: 'serve' };
    const one = consumer();
    one.subscribe(['t']);
    await expect(cluster.run(one.poll(5_000))).rejects.toBeInstanceOf(InconsistentGroupProtocolError);
    groups.onCall = () => ({ kind: 'serve' });
    await cluster.run(one.poll(2_000));
    expect(one.assignment()).toHaveLength(4);
  });

  test('for await ends with an error that cannot be handled, never in silence', async () => {
    const { cluster, groups, consumer } = await setUp();
    groups.onCall = (api) =>
      api === 'joinGroup' ? { kind: 'refuse', code: errorCodes.GROUP_AUTHORIZATION_FAILED } : { kind: 'serve' };
    const one = consumer();
    one.subscribe(['t']);
    const iterate = async (): Promise<void> => {
      for await (const _ of one) throw new Error('there is nothing');
    };
    await expect(cluster.run(iterate())).rejects.toMatchObject({ name: 'GroupAuthorizationError' });
  });
});

describe('offsets', () => {
  test('reading goes on at the committed offset, with its epoch and metadata', async () => {
    const { cluster, groups, logs, consumer } = await setUp(1);
    fill(logs[0] as ScriptedLog, 10);
    const first = consumer({ enableAutoCommit: false });
    first.subscribe(['t']);
    let records: ConsumerRecord[] = [];
    while (records.length === 0) records = await cluster.run(first.poll(1_000));
    await cluster.run(first.commitSync([{ topic: 't', partition: 0, offset: 4n, leaderEpoch: 0, metadata: 'note' }]));
    expect(await cluster.run(first.committed([{ topic: 't', partition: 0 }]))).toEqual([
      { topic: 't', partition: 0, offset: 4n, leaderEpoch: 0, metadata: 'note' },
    ]);
    await cluster.run(first.close());
    expect(groups.offsets.get('t/0')?.offset, 'close commits nothing by itself').toBe(4);
    const second = consumer();
    second.subscribe(['t']);
    records = [];
    while (records.length === 0) records = await cluster.run(second.poll(1_000));
    expect(records[0]?.offset).toBe(4n);
  });

  test('without a committed offset auto.offset.reset says where; none is an error', async () => {
    const { cluster, logs, consumer } = await setUp(1);
    fill(logs[0] as ScriptedLog, 5);
    const latest = consumer({ autoOffsetReset: 'latest', groupId: 'h' });
    latest.assign([{ topic: 't', partition: 0 }]);
    expect(await cluster.run(latest.position({ topic: 't', partition: 0 }))).toBe(5n);
    const none = consumer({ autoOffsetReset: 'none' });
    none.subscribe(['t']);
    await expect(cluster.run(none.poll(5_000))).rejects.toBeInstanceOf(NoOffsetForPartitionError);
  });

  test('automatic commits never go beyond what was processed: the last poll is not, until the next', async () => {
    const { cluster, groups, logs, consumer } = await setUp(1);
    fill(logs[0] as ScriptedLog, 10);
    const one = consumer({ maxPollRecords: 4, autoCommitIntervalMs: 0 });
    one.subscribe(['t']);
    let got = 0;
    while (got === 0) got = (await cluster.run(one.poll(1_000))).length;
    await cluster.simulation.runFor(1_000);
    expect(groups.offsets.get('t/0')?.offset ?? 0).toBe(0);
    await cluster.run(one.poll(0));
    await cluster.simulation.runFor(1_000);
    expect(groups.offsets.get('t/0')?.offset).toBe(4);
    await cluster.run(one.close());
    expect(groups.offsets.get('t/0')?.offset, 'close').toBe(4);
  });

  test('for await: a record counts as processed when the next one is asked for', async () => {
    const { cluster, groups, logs, consumer } = await setUp(1);
    fill(logs[0] as ScriptedLog, 10);
    const one = consumer();
    one.subscribe(['t']);
    const failAt3 = async (): Promise<void> => {
      for await (const record of one) if (record.offset === 3n) throw new Error('a bug');
    };
    await expect(cluster.run(failAt3())).rejects.toThrow('a bug');
    await cluster.run(one.close());
    expect(groups.offsets.get('t/0')?.offset, 'record 3 is not lost').toBe(3);
  });

  test.each([
    ['latest', 'reading goes on there, not at the end or beginning'],
    ['none', 'it is an error'],
  ])('row 54: the log was cut below the committed offset, auto.offset.reset=%s: %s', async (autoOffsetReset) => {
    const { cluster, groups, logs, consumer } = await setUp(1);
    const log = logs[0] as ScriptedLog;
    fill(log, 10);
    fill(log, 10);
    groups.offsets.set('t/0', { topic: 't', partition: 0, offset: 20, leaderEpoch: 0, metadata: '' });
    log.truncate(10);
    log.moveTo(2);
    fill(log, 15);
    const one = consumer({ autoOffsetReset });
    one.subscribe(['t']);
    if (autoOffsetReset === 'none') {
      const failure = await cluster.run(one.poll(10_000)).catch((error) => error);
      expect(failure).toMatchObject({ name: 'LogTruncationError', offset: 20n, divergentOffset: 10n });
      one.seek({ topic: 't', partition: 0 }, failure.divergentOffset);
    }
    const records = await cluster.run(one.poll(5_000));
    expect([records.length, records[0]?.offset]).toEqual([15, 10n]);
  });

  test('for await ends when the consumer is closed; an iteration that begins then is refused', async () => {
    const { cluster, groups, logs, consumer } = await setUp(1);
    fill(logs[0] as ScriptedLog, 10);
    const one = consumer();
    one.subscribe(['t']);
    let count = 0;
    const iterate = async (): Promise<void> => {
      for await (const _ of one) count++;
    };
    const iterating = iterate();
    await until(cluster, () => count === 10);
    await cluster.run(one.close());
    await cluster.run(iterating);
    expect(groups.offsets.get('t/0')?.offset).toBe(10);
    expect(() => one.records()).toThrow('closed');
  });

  test('batches commit themselves', async () => {
    const { cluster, groups, logs, consumer } = await setUp(2);
    for (const log of logs) fill(log, 5);
    const one = consumer({ enableAutoCommit: false });
    one.subscribe(['t']);
    const batches = one.batches();
    for (let i = 0; i < 2; i++) {
      const batch = (await cluster.run(batches.next())).value;
      if (batch !== undefined) await cluster.run(batch.commit());
    }
    expect([...groups.offsets.values()].map(({ offset }) => offset)).toEqual([5, 5]);
  });

  test('commits arrive in the order of the calls, also when one has to be tried again', async () => {
    const { cluster, groups, consumer } = await setUp(1);
    const one = consumer({ enableAutoCommit: false });
    one.subscribe(['t']);
    await cluster.run(one.poll(1_000));
    let refusals = 0;
    groups.onCall = (api) =>
      api === 'offsetCommit' && refusals++ < 2
        ? { kind: 'refuse', code: errorCodes.COORDINATOR_LOAD_IN_PROGRESS }
        : { kind: 'serve' };
    const outcomes: unknown[] = [];
    const at = (offset: bigint) => [{ topic: 't', partition: 0, offset }];
    one.commitAsync(at(1n), (error) => outcomes.push(['async', error]));
    await cluster.run(one.commitSync(at(2n)));
    expect(groups.commits.map(({ offset }) => offset.offset)).toEqual([1, 2]);
    expect(outcomes).toEqual([['async', undefined]]);
  });

  test('a commit that is not an offset is refused before it is sent', async () => {
    const { cluster, consumer } = await setUp(1);
    const one = consumer();
    const bad = one.commitSync([{ topic: 't', partition: 0, offset: 1.5 }]);
    await expect(cluster.run(bad)).rejects.toBeInstanceOf(IllegalStateError);
    const alone = cluster.client().consumer();
    await expect(alone.commitSync()).rejects.toBeInstanceOf(IllegalStateError);
    expect(() => alone.subscribe(['t'])).toThrow("needs a 'group.id'");
  });
});

describe('rebalance and commit overlap (librdkafka#2933, row 49)', () => {
  test('what was processed is committed before a partition goes to its new owner: every record once', async () => {
    const { cluster, groups, logs, consumer } = await setUp();
    for (const log of logs) fill(log, 200);
    for (const strategy of ['range', 'cooperative-sticky']) {
      groups.offsets.clear();
      const options = { partitionAssignmentStrategy: strategy, maxPollRecords: 7, heartbeatIntervalMs: 300 };
      const pause = () => sleep(cluster.clientNode.runtime.timers, 20);
      const a = new Member(consumer(options)).start(200, pause);
      await until(cluster, () => a.read.length > 50);
      const b = new Member(consumer(options)).start(200, pause);
      await until(cluster, () => a.read.length + b.read.length >= 800);
      const all = [...a.read, ...b.read].map(textOf);
      expect(new Set(all).size).toBe(800);
      expect(all.length, strategy).toBe(800);
      expect(b.read.length).toBeGreaterThan(0);
      await cluster.run(Promise.all([a.stop(), b.stop()]));
    }
  });

  test('for await comes to the rebalance between two records, not after all that were polled', async () => {
    const { cluster, logs, consumer } = await setUp(2);
    for (const log of logs) fill(log, 300);
    const seen: string[] = [];
    const slow = consumer();
    slow.subscribe(['t']);
    const iterate = async (): Promise<void> => {
      for await (const record of slow) {
        seen.push(textOf(record));
        await sleep(cluster.clientNode.runtime.timers, 100);
      }
    };
    const iterating = iterate().catch(() => undefined);
    await until(cluster, () => seen.length === 5);
    const b = new Member(consumer()).start();
    await until(cluster, () => b.partitions.length === 1, 6_000);
    expect(slow.assignment()).toHaveLength(1);
    await until(cluster, () => new Set([...seen, ...b.read.map(textOf)]).size === 600, 100_000);
    expect(seen.length + b.read.length, 'nothing twice').toBe(600);
    await cluster.run(Promise.all([slow.close(), b.stop()]));
    await cluster.run(iterating);
  });

  test('a commit during the rebalance of others fails as such, and works after the next poll', async () => {
    const { cluster, groups, consumer } = await setUp(1);
    const one = consumer({ enableAutoCommit: false });
    one.subscribe(['t']);
    await cluster.run(one.poll(1_000));
    groups.onCall = (api) =>
      api === 'offsetCommit' ? { kind: 'refuse', code: errorCodes.REBALANCE_IN_PROGRESS } : { kind: 'serve' };
    const offsets = [{ topic: 't', partition: 0, offset: 3n }];
    await expect(cluster.run(one.commitSync(offsets))).rejects.toBeInstanceOf(RebalanceInProgressError);
    groups.onCall = () => ({ kind: 'serve' });
    groups.rebalance();
    await cluster.run(one.poll(2_000));
    await cluster.run(one.commitSync(offsets));
    expect(groups.offsets.get('t/0')?.offset).toBe(3);
  });

  test('an old owner cannot commit any more (G4): CommitFailedError, the partitions are lost, it joins again', async () => {
    const { cluster, groups, consumer } = await setUp(1);
    const a = new Member(consumer({ enableAutoCommit: false }));
    await cluster.run(a.consumer.poll(1_000));
    groups.expel(a.consumer.groupMetadata().memberId);
    const commit = a.consumer.commitSync([{ topic: 't', partition: 0, offset: 9n }]);
    await expect(cluster.run(commit)).rejects.toBeInstanceOf(CommitFailedError);
    expect(groups.offsets.size).toBe(0);
    expect(a.consumer.health().status).toBe('lost');
    await cluster.run(a.consumer.poll(2_000));
    expect(a.events).toEqual(['assigned 0', 'lost 0', 'assigned 0']);
    expect(a.consumer.health().status).toBe('stable');
  });

  test('a commit of before a loss is not written when the member is back in the same generation (G4)', async () => {
    const { cluster, groups, logs, consumer } = await setUp(2);
    for (const log of logs) fill(log, 10);
    const options = { enableAutoCommit: false, defaultApiTimeoutMs: 60_000, retryBackoffMaxMs: 20_000 };
    const a = new Member(consumer(options)).start();
    await until(cluster, () => a.partitions.length === 2);
    const b = new Member(consumer({ ...options, sessionTimeoutMs: 6_000, heartbeatIntervalMs: 1_000 })).start();
    await until(cluster, () => b.partitions.length === 1 && b.read.length === 10);
    const { generation } = groups;
    const partition = b.partitions[0] as number;
    // Its coordinator is being loaded for longer than a session, which begins for the coordinator when that is done.
    (groups.members.get(b.consumer.groupMetadata().memberId) as { sessionTimeoutMs: number }).sessionTimeoutMs = 60_000;
    groups.onCall = (api, request) => {
      const isOfB = (request as { memberId?: string }).memberId === b.consumer.groupMetadata().memberId;
      const isHeld = isOfB && (api === 'offsetCommit' || api === 'heartbeat');
      return isHeld ? { kind: 'refuse', code: errorCodes.COORDINATOR_LOAD_IN_PROGRESS } : { kind: 'serve' };
    };
    const commit = b.consumer.commitSync([{ topic: 't', partition, offset: 10n }]).catch((error: unknown) => error);
    await until(cluster, () => b.events.at(-1)?.startsWith('lost') === true, 30_000);
    groups.onCall = () => ({ kind: 'serve' });
    await until(cluster, () => b.read.length > 10, 30_000);
    expect(groups.generation).toBe(generation);
    expect(await cluster.run(commit)).toBeInstanceOf(CommitFailedError);
    expect(groups.offsets.get(`t/${partition}`)).toBeUndefined();
  });

  test('a rebalance while the coordinator does not answer commits goes on; the records are read again', async () => {
    const { cluster, groups, logs, consumer } = await setUp(2);
    for (const log of logs) fill(log, 10);
    const a = new Member(consumer({ defaultApiTimeoutMs: 1_000 })).start();
    await until(cluster, () => a.read.length === 20);
    groups.onCall = (api) => (api === 'offsetCommit' ? { kind: 'silence' } : { kind: 'serve' });
    const b = new Member(consumer({ defaultApiTimeoutMs: 1_000 })).start();
    await until(cluster, () => b.read.length === 10);
    expect(a.error).toBeUndefined();
  });

  test('pause stays over a rebalance that leaves the partition here', async () => {
    const { cluster, groups, consumer } = await setUp(2);
    const one = consumer();
    one.subscribe(['t']);
    await cluster.run(one.poll(1_000));
    one.pause([{ topic: 't', partition: 1 }]);
    groups.rebalance();
    await cluster.simulation.runFor(4_000);
    await cluster.run(one.poll(3_000));
    expect(one.paused()).toEqual([{ topic: 't', partition: 1 }]);
  });

  test('a listener that commits and seeks; what it throws ends the poll, not the rebalance', async () => {
    const { cluster, groups, logs, consumer } = await setUp(1);
    fill(logs[0] as ScriptedLog, 10);
    const one = consumer({ enableAutoCommit: false });
    one.subscribe(['t'], {
      onPartitionsAssigned: (partitions) => {
        for (const partition of partitions) one.seek(partition, 5n);
      },
      onPartitionsRevoked: async () => {
        await one.commitSync();
        throw new Error('the listener has a bug');
      },
    });
    let records: ConsumerRecord[] = [];
    while (records.length === 0) records = await cluster.run(one.poll(1_000));
    expect(records[0]?.offset).toBe(5n);
    groups.rebalance();
    await cluster.simulation.runFor(4_000);
    await expect(cluster.run(one.poll(3_000))).rejects.toThrow('the listener has a bug');
    expect(groups.offsets.get('t/0')?.offset).toBe(10);
    await cluster.run(one.poll(2_000));
    expect(one.assignment()).toHaveLength(1);
  });
});

describe('members that die, stall or are replaced', () => {
  test('heartbeats go on while the application works; after max.poll.interval.ms it leaves, the next poll joins again', async () => {
    const { cluster, groups, consumer } = await setUp(1);
    const a = new Member(consumer({ maxPollIntervalMs: 20_000, sessionTimeoutMs: 6_000, heartbeatIntervalMs: 1_000 }));
    await cluster.run(a.consumer.poll(1_000));
    await cluster.simulation.runFor(15_000);
    expect(groups.members.size, 'silent to us, not to the group').toBe(1);
    await cluster.simulation.runFor(7_000);
    expect(groups.members.size, 'it left').toBe(0);
    await cluster.run(a.consumer.poll(2_000));
    expect(a.events).toEqual(['assigned 0', 'lost 0', 'assigned 0']);
  });

  test('who waits in poll for longer than max.poll.interval.ms is not silent: it stays in the group', async () => {
    const { cluster, groups, consumer } = await setUp(1);
    const a = new Member(consumer({ maxPollIntervalMs: 8_000, sessionTimeoutMs: 6_000, heartbeatIntervalMs: 1_000 }));
    await cluster.run(a.consumer.poll(30_000));
    expect(groups.members.size).toBe(1);
    expect(a.events).toEqual(['assigned 0']);
  });

  test('a member dies: its session times out, the other one reads on from its last commit (G6)', async () => {
    const { cluster, groups, logs, consumer } = await setUp(2);
    for (const log of logs) fill(log, 50);
    const options = { sessionTimeoutMs: 6_000, heartbeatIntervalMs: 1_000, maxPollRecords: 5 };
    const node = cluster.simulation.addNode('other');
    const other = cluster
      .client({ runtime: node.runtime })
      .consumer({ groupId: 'g', autoOffsetReset: 'earliest', ...options });
    const b = new Member(other).start();
    const a = new Member(consumer(options)).start();
    await until(cluster, () => a.partitions.length === 1 && b.partitions.length === 1);
    node.crash();
    for (const log of logs) fill(log, 50);
    await until(cluster, () => a.partitions.length === 2, 30_000);
    await until(cluster, () => new Set([...a.read, ...b.read].map(textOf)).size === 200);
    expect(groups.members.size).toBe(1);
  });

  test('cut off for session.timeout.ms: it stops reading before the group gives its partitions away (G1)', async () => {
    const { cluster, groups, consumer } = await setUp(1, 2);
    const options = { sessionTimeoutMs: 6_000, heartbeatIntervalMs: 1_000 };
    const node = cluster.simulation.addNode('other');
    const other = cluster
      .client({ runtime: node.runtime })
      .consumer({ groupId: 'g', autoOffsetReset: 'earliest', ...options });
    const b = new Member(other).start();
    await until(cluster, () => b.partitions.length === 1);
    const a = new Member(consumer(options)).start();
    const holders = (): number => a.partitions.length + b.partitions.length;
    cluster.simulation.afterEvent(() => expect(holders()).toBeLessThanOrEqual(1));
    await until(cluster, () => groups.members.size === 2 && groups.state === 'stable' && holders() === 1);
    for (const id of ['b1', 'b2']) cluster.simulation.network.cut('other', id);
    await until(cluster, () => a.partitions.length === 1 && b.partitions.length === 0, 30_000);
    for (const id of ['b1', 'b2']) cluster.simulation.network.heal('other', id);
    await until(cluster, () => groups.members.size === 2, 30_000);
    expect(b.error).toBeUndefined();
  });

  test('the coordinator moves: heartbeats, commits and joins find the new one, nobody rebalances (G7)', async () => {
    const { cluster, groups, logs, consumer } = await setUp(2, 3);
    const a = new Member(consumer({ autoCommitIntervalMs: 100 })).start();
    await until(cluster, () => a.partitions.length === 2);
    const generation = groups.generation;
    groups.moveTo(3);
    for (const log of logs) fill(log, 5);
    await until(cluster, () => a.read.length === 10);
    await until(cluster, () => groups.offsets.get('t/0')?.offset === 5);
    await cluster.simulation.runFor(10_000);
    expect(groups.generation).toBe(generation);
    expect(a.consumer.health()).toMatchObject({ status: 'stable', coordinator: 3 });
  });

  test('the coordinator freezes while members join: they notice and join at its successor', async () => {
    const { cluster, groups, consumer } = await setUp(2, 3);
    const a = new Member(consumer()).start();
    await until(cluster, () => a.partitions.length === 2);
    // a does not poll any more: the join of b waits for it.
    groups.onCall = (api, _request, brokerId) =>
      brokerId === 1 && api !== 'findCoordinator' ? { kind: 'silence' } : { kind: 'serve' };
    const b = new Member(consumer()).start();
    await cluster.simulation.runFor(500);
    cluster.node(1).pause();
    groups.moveTo(2);
    await until(cluster, () => a.partitions.length === 1 && b.partitions.length === 1, 40_000);
  });

  test('the coordinator is loading, or there is none: it waits, polls return empty', async () => {
    const { cluster, groups, consumer } = await setUp(1);
    groups.onCall = (api) =>
      api === 'findCoordinator' ? { kind: 'serve' } : { kind: 'refuse', code: errorCodes.COORDINATOR_LOAD_IN_PROGRESS };
    const one = consumer();
    one.subscribe(['t']);
    expect(await cluster.run(one.poll(3_000))).toEqual([]);
    expect(one.health().status).toBe('rebalancing');
    groups.onCall = () => ({ kind: 'serve' });
    await cluster.run(one.poll(3_000));
    expect(one.assignment()).toHaveLength(1);
  });

  test('a static member comes back: its place and partitions are its own, without a rebalance (KIP-345)', async () => {
    const { cluster, groups, consumer } = await setUp(2);
    const a = new Member(consumer({ groupInstanceId: 'i1' })).start();
    await until(cluster, () => a.partitions.length === 2);
    const generation = groups.generation;
    await cluster.run(a.stop());
    expect(groups.members.size, 'static members do not leave').toBe(1);
    const again = new Member(consumer({ groupInstanceId: 'i1' })).start();
    await until(cluster, () => again.partitions.length === 2);
    expect(groups.generation).toBe(generation);
  });

  test('a second instance with the same id fences the first, which ends with that error for good (row 52)', async () => {
    const { cluster, consumer } = await setUp(2);
    const a = new Member(consumer({ groupInstanceId: 'i1' })).start();
    await until(cluster, () => a.partitions.length === 2);
    const twin = new Member(consumer({ groupInstanceId: 'i1' })).start();
    await until(cluster, () => twin.partitions.length === 2 && a.error !== undefined);
    expect(a.error).toBeInstanceOf(FencedInstanceIdError);
    expect(a.partitions).toEqual([]);
    expect(a.events.at(-1)).toBe('lost 0,1');
    await expect(cluster.run(a.consumer.poll(1_000))).rejects.toBeInstanceOf(FencedInstanceIdError);
    expect(twin.error).toBeUndefined();
  });

  test('unsubscribe gives up, tells and leaves; then the consumer may be used otherwise', async () => {
    const { cluster, groups, consumer } = await setUp(2);
    const a = new Member(consumer());
    await cluster.run(a.consumer.poll(1_000));
    expect(() => a.consumer.assign([])).toThrow(IllegalStateError);
    await cluster.run(a.consumer.unsubscribe());
    expect(a.events).toEqual(['assigned 0,1', 'revoked 0,1']);
    expect(groups.members.size).toBe(0);
    a.consumer.assign([{ topic: 't', partition: 0 }]);
    expect(await cluster.run(a.consumer.poll(100))).toEqual([]);
    await cluster.run(a.consumer.unsubscribe());
    a.consumer.subscribe(['t']);
    await cluster.run(a.consumer.poll(2_000));
    expect(a.consumer.assignment()).toHaveLength(2);
    await cluster.run(a.consumer.close());
    expect(() => a.consumer.subscribe(['t'])).toThrow('closed');
  });
});
