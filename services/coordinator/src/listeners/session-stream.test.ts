import { beforeEach, describe, expect, test } from 'vitest';
import { limits } from '../tree/limits.ts';
import { create, get, LeaderNode, ping, set, settled, type TestStream, watch } from './testing/leader-node.ts';

let node: LeaderNode;
let client: TestStream;

beforeEach(async () => {
  node = new LeaderNode();
  client = await node.connect();
  client.received.length = 0;
});

function textOf(xid: number): string | undefined {
  const found = client.received.find((each) => each.$case === 'result' && each.value.xid === xid);
  return found?.$case === 'result' ? Buffer.from(found.value.data).toString() : undefined;
}

async function commitAll(): Promise<void> {
  await settled();
  while (node.log.commitNext()) await settled();
}

describe('order within a session', () => {
  test('writes are proposed without waiting for each other, answers come in the order of the requests', async () => {
    node.log.automatic = false;
    const before = node.log.proposed.length;
    await client.say(create(1, '/a'), set(2, '/a', 'x'), ping, set(3, '/a', 'y'));
    expect(node.log.proposed.length - before).toBe(3);
    expect(client.cases).toEqual([]);
    await commitAll();
    expect(client.cases).toEqual(['result 1', 'result 2', 'pong', 'result 3']);
  });

  test('a read sees every write before it and no write after it', async () => {
    node.log.automatic = false;
    await client.say(create(1, '/a'), set(2, '/a', 'before'), get(3, '/a'), set(4, '/a', 'after'), get(5, '/a'));
    await commitAll();
    expect(client.cases).toEqual(['result 1', 'result 2', 'result 3', 'result 4', 'result 5']);
    expect([textOf(3), textOf(5)]).toEqual(['before', 'after']);
  });

  test('a write that is refused before the log is answered in its turn', async () => {
    node.log.automatic = false;
    await client.say(create(1, '/a'));
    const operations = Array.from({ length: limits.operationsPerWriteMax + 1 }, () => ({
      operation: { $case: 'delete' as const, value: { path: '/x', version: -1 } },
    }));
    await client.say({ $case: 'operation', value: { xid: 2, operation: { $case: 'multi', value: { operations } } } });
    expect(client.cases).toEqual([]);
    await commitAll();
    expect(client.cases).toEqual(['result 1', 'result 2']);
    expect(client.last('result')?.error).toBe(7);
  });

  test('a stream with too many open requests is not read until half of them are answered', async () => {
    node.log.automatic = false;
    await client.say(...Array.from({ length: 4_097 }, (_, i) => set(i, '/a')));
    expect(client.paused).toBe(true);
    await commitAll();
    expect(client.paused).toBe(false);
    expect(client.cases).toHaveLength(4_097);
  });
});

describe('watches', () => {
  test('an event is sent before the answer of the write that caused it, to the writer, too (Z10)', async () => {
    await client.say(watch(1, '/'), create(1, '/a'), set(2, '/a', 'x'));
    expect(client.cases).toEqual([
      'watchSnapshot',
      'watchChanges',
      'watchChanges',
      'watchChanges',
      'result 1',
      'result 2',
    ]);
    expect(
      client.received.flatMap((each) => (each.$case === 'watchChanges' ? [each.value.changes.length] : [])),
    ).toEqual([0, 1, 1]);
  });

  test('resume: the changes after the zxid, once, in order, then where it stands', async () => {
    await client.say(create(1, '/a'));
    const seen = node.machine.tree.zxid;
    await client.say(set(2, '/a', 'x'), set(3, '/a', 'y'));
    client.received.length = 0;
    await client.say(watch(1, '/a', seen), set(4, '/a', 'z'));
    const zxids = client.received.flatMap((each) =>
      each.$case === 'watchChanges' ? [[each.value.zxid - seen, each.value.changes.length]] : [],
    );
    expect(zxids).toEqual([
      [1, 1],
      [2, 1],
      [2, 0],
      [3, 1],
    ]);
  });

  test('a snapshot leaves in parts as the client takes them; answers behind it wait; no change is lost or comes early', async () => {
    const large = 'x'.repeat(200_000);
    for (let i = 0; i < 4; i += 1) await client.say(create(i, `/n${i}`), set(i, `/n${i}`, large));
    client.received.length = 0;
    client.flowing = false;
    await client.say(watch(1, '/'), get(7, '/n0'));
    expect(client.cases).toEqual(['watchSnapshot']);
    const other = await node.connect();
    await other.say(set(1, '/n0', 'changed'), create(2, '/late'));
    expect(client.cases).toEqual(['watchSnapshot']);
    client.drain();
    await settled();
    expect(client.cases).toEqual([
      'watchSnapshot',
      'watchSnapshot',
      'watchChanges',
      'watchChanges',
      'watchChanges',
      'result 7',
    ]);
    expect(client.received.flatMap((each) => (each.$case === 'watchSnapshot' ? [each.value.done] : []))).toEqual([
      false,
      true,
    ]);
    expect(textOf(7)).toBe('changed');
  });

  test('an ended watch, and an ended stream, hear nothing more', async () => {
    await client.say(watch(1, '/'), watch(2, '/'));
    expect(node.machine.watches.size).toBe(2);
    await client.say({ $case: 'unwatch', value: { watchId: 1 } });
    expect(node.machine.watches.size).toBe(1);
    await client.break();
    expect(node.machine.watches.size).toBe(0);
  });

  test('limits and invalid paths are refused by name', async () => {
    await client.say(watch(1, 'relative'));
    expect(client.last('watchFailed')).toMatchObject({ watchId: 1, error: 6 });
    for (let id = 2; id <= limits.watchesPerSessionMax + 2; id += 1) await client.say(watch(id, '/none'));
    expect(client.last('watchFailed')).toMatchObject({ watchId: limits.watchesPerSessionMax + 2, error: 7 });
  });

  test('a client that does not read loses its stream, not its session', async () => {
    await client.say(watch(1, '/'));
    client.pendingBytes = 100_000_000;
    const other = await node.connect();
    await other.say(create(1, '/a'));
    expect(client.ended).toMatchObject({ code: 'resource-exhausted' });
    expect(node.machine.tree.sessions.size).toBe(2);
  });
});

describe('the end', () => {
  test('CloseSession is answered after what was asked before it, and takes the ephemerals with it', async () => {
    node.log.automatic = false;
    await client.say(create(1, '/e', true), get(2, '/e'), { $case: 'close', value: {} });
    await commitAll();
    expect(client.cases).toEqual(['result 1', 'result 2', 'closed']);
    expect(client.last('closed')).toEqual({ expired: false });
    expect(client.ended).toBe('ended');
    expect(node.machine.tree.get('/e')).toBeUndefined();
  });

  test('lost leadership ends the stream without an answer: the outcome of what is under way is unknown', async () => {
    node.log.automatic = false;
    await client.say(create(1, '/a'));
    node.log.loseLeadership();
    await settled();
    expect(client.cases).toEqual([]);
    expect(client.ended).toMatchObject({ code: 'unavailable' });
  });

  test('a stream that does not begin with Connect is ended', async () => {
    const stream = node.stream();
    await stream.say(ping);
    expect(stream.ended).toMatchObject({ code: 'failed-precondition' });
  });
});
