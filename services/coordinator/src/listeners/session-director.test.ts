import { beforeEach, describe, expect, test } from 'vitest';
import { create, get, LeaderNode, ping, settled, type TestStream } from './testing/leader-node.ts';

let node: LeaderNode;
let client: TestStream;

function session() {
  return client.last('connected') as NonNullable<ReturnType<typeof client.last<'connected'>>>;
}

function lives(): boolean {
  return node.machine.tree.sessions.has(session().sessionId);
}

beforeEach(async () => {
  node = new LeaderNode();
  client = await node.connect();
  await client.say(create(1, '/e', true));
});

describe('silence', () => {
  test('for the timeout ends the session by a log entry, with its ephemerals, and the client is told (Z11, Z12)', async () => {
    await node.time.advance(5_900);
    expect(lives()).toBe(true);
    await node.time.advance(200);
    expect(lives()).toBe(false);
    expect(node.machine.tree.get('/e')).toBeUndefined();
    expect(client.last('closed')).toEqual({ expired: true });
    expect(client.ended).toBe('ended');
  });

  test('any message is a touch', async () => {
    for (let i = 0; i < 4; i += 1) {
      await node.time.advance(4_000);
      await client.say(i % 2 === 0 ? ping : get(i, '/e'));
    }
    expect(lives()).toBe(true);
    await node.time.advance(6_100);
    expect(lives()).toBe(false);
  });

  test('the timeout asked for is kept within bounds', async () => {
    const short = await node.connect({ timeoutMs: 1 });
    const long = await node.connect({ timeoutMs: 10_000_000 });
    expect([short.last('connected')?.timeoutMs, long.last('connected')?.timeoutMs]).toEqual([100, 60_000]);
  });
});

describe('a broken stream', () => {
  test('shortens the deadline to the grace', async () => {
    await client.break();
    await node.time.advance(950);
    expect(lives()).toBe(true);
    await node.time.advance(150);
    expect(lives()).toBe(false);
  });

  test('and an attach within the grace restores the full timeout; another stream holds the session', async () => {
    await client.break();
    await node.time.advance(900);
    const again = await node.connect({ resume: session() });
    expect(again.cases).toEqual(['connected']);
    await node.time.advance(5_900);
    expect(lives()).toBe(true);
  });

  test('an attach from elsewhere ends the stream that held the session, and its later end shortens nothing', async () => {
    const again = await node.connect({ resume: session() });
    expect(client.ended).not.toBe('open');
    await client.break();
    await node.time.advance(3_000);
    expect(lives()).toBe(true);
    expect(again.ended).toBe('open');
  });

  test('before Connected was sent: the new session lives for the grace only', async () => {
    node.log.automatic = false;
    const hasty = await node.connect();
    await hasty.break();
    node.log.commitNext();
    await settled();
    node.log.automatic = true;
    expect(node.machine.tree.sessions.size).toBe(2);
    await client.say(ping);
    await node.time.advance(1_100);
    expect(node.machine.tree.sessions.size).toBe(1);
  });
});

describe('an attach that meets an expiry', () => {
  test('expiry first in the log: the client is told that it expired (row 27)', async () => {
    await client.break();
    node.log.automatic = false;
    await node.time.advance(1_100);
    const again = await node.connect({ resume: session() });
    expect(again.cases).toEqual([]);
    node.log.commitNext();
    node.log.commitNext();
    await settled();
    expect(again.last('refused')?.reason).toBe(3);
    expect(lives()).toBe(false);
  });

  test('attach first in the log: it lives, although it is applied only after the deadline', async () => {
    await client.break();
    node.log.automatic = false;
    await node.time.advance(900);
    const again = await node.connect({ resume: session() });
    await node.time.advance(2_000);
    while (node.log.commitNext()) await settled();
    expect(again.cases).toEqual(['connected']);
    expect(lives()).toBe(true);
  });

  test('a ping after the decision gets no pong: the end comes instead (Z12)', async () => {
    node.log.automatic = false;
    await node.time.advance(6_100);
    await client.say(ping);
    expect(client.cases.filter((each) => each === 'pong')).toEqual([]);
    node.log.commitNext();
    await settled();
    expect(client.cases.at(-1)).toBe('closed');
  });

  test('with the wrong password it is refused, and the session goes on without harm', async () => {
    const wrong = await node.connect({ resume: { ...session(), password: new Uint8Array([1]) } });
    expect(wrong.last('refused')?.reason).toBe(3);
    expect(lives()).toBe(true);
  });
});

describe('leadership', () => {
  test('a new leader gives every session its full timeout (row 27)', async () => {
    await node.time.advance(5_500);
    node.log.loseLeadership();
    await settled();
    expect(client.ended).not.toBe('open');
    await node.time.advance(60_000);
    expect(lives()).toBe(true);
    node.log.gainLeadership();
    await node.time.advance(5_900);
    expect(lives()).toBe(true);
    await node.time.advance(200);
    expect(lives()).toBe(false);
  });

  test('a leader that stood still forgives its clients the time that it slept', async () => {
    await node.time.advance(5_000);
    await node.time.stall(30_000);
    expect(lives()).toBe(true);
    await client.say(ping);
    await node.time.advance(5_000);
    expect(lives()).toBe(true);
  });

  test('a node that does not lead refuses a session', async () => {
    node.log.loseLeadership();
    const stream = await node.connect();
    expect(stream.last('refused')?.reason).toBe(1);
  });

  test('a client that has seen more than this cluster has is refused (Z9, row 30)', async () => {
    const stream = await node.connect({ resume: session(), lastZxid: 1_000 });
    expect(stream.cases).toEqual(['refused']);
    expect(stream.last('refused')?.reason).toBe(2);
  });
});
