import { describe, expect, test } from 'vitest';
import type { Connection } from '../network.ts';
import type { SimulatedNode } from './node.ts';
import { createSimulation, type Simulation } from './simulation.ts';

interface Talk {
  readonly simulation: Simulation;
  readonly a: SimulatedNode;
  readonly b: SimulatedNode;
  /** Of a, to b. */
  readonly connection: Connection;
  readonly accepted: Connection;
  /** What each of the two learned, in order. */
  readonly heardByA: string[];
  readonly heardByB: string[];
}

/** b listens on port 1, a has connected. */
async function talk(seed = 1): Promise<Talk> {
  const simulation = createSimulation({ seed });
  const [a, b] = [simulation.addNode('a'), simulation.addNode('b')];
  const [heardByA, heardByB]: [string[], string[]] = [[], []];
  let accepted: Connection | undefined;
  const onConnection = (connection: Connection): void => {
    accepted = connection;
    listenTo(connection, heardByB);
  };
  await simulation.complete(b.runtime.network.listen({ host: 'b', port: 1 }, onConnection));
  const connection = await simulation.complete(a.runtime.network.connect({ host: 'b', port: 1 }));
  listenTo(connection, heardByA);
  await simulation.runFor(10);
  return { simulation, a, b, connection, accepted: accepted as unknown as Connection, heardByA, heardByB };
}

function listenTo(connection: Connection, heard: string[]): void {
  connection.handle({
    onData: (bytes) => heard.push(Buffer.from(bytes).toString()),
    onClose: (error) => heard.push(`closed: ${error?.code ?? 'ended'}`),
  });
}

const text = (value: string): Uint8Array[] => [Buffer.from(value)];

describe('a cut', () => {
  test('stalls both directions and tells nobody; after heal everything arrives, in order', async () => {
    const { simulation, connection, accepted, heardByA, heardByB } = await talk();
    connection.write(text('under way'));
    simulation.network.cut('a', 'b');
    for (const word of ['1', '2', '3']) {
      connection.write(text(word));
      accepted.write(text(word));
      await simulation.runFor(1_000);
    }
    expect([heardByA, heardByB]).toEqual([[], []]);
    simulation.network.heal('a', 'b');
    connection.write(text('4'));
    await simulation.runFor(10);
    expect(heardByB.join('')).toBe('under way1234');
    expect(heardByA.join('')).toBe('123');
  });

  test('can be one-way: a is heard by b and hears nothing', async () => {
    const { simulation, connection, accepted, heardByA, heardByB } = await talk();
    simulation.network.cut('b', 'a', { oneWay: true });
    connection.write(text('to b'));
    accepted.write(text('to a'));
    await simulation.runFor(1_000);
    expect([heardByA.join(''), heardByB.join('')]).toEqual(['', 'to b']);
    simulation.network.healAll();
    await simulation.runFor(10);
    expect(heardByA.join('')).toBe('to a');
  });

  test('makes connecting time out', async () => {
    const { simulation, a } = await talk();
    simulation.network.isolate('b');
    const startMs = simulation.nowMs;
    const attempt = a.runtime.network.connect({ host: 'b', port: 1 }, { timeoutMs: 700 });
    await expect(simulation.complete(attempt)).rejects.toMatchObject({ code: 'timeout' });
    expect(simulation.nowMs - startMs).toBe(700);
  });

  test('holds back the news of a crash, too', async () => {
    const { simulation, b, heardByA } = await talk();
    simulation.network.cut('a', 'b');
    b.crash();
    await simulation.runFor(60_000);
    expect(heardByA).toEqual([]);
    simulation.network.heal('a', 'b');
    await simulation.runFor(10);
    expect(heardByA).toEqual(['closed: reset']);
  });

  test('fills the writer’s buffers: write says stop, and drains after heal', async () => {
    const { simulation, connection } = await talk();
    simulation.network.cut('a', 'b');
    let drained = false;
    connection.handle({ onData: () => {}, onClose: () => {}, onDrain: () => (drained = true) });
    let writes = 1;
    while (connection.write([new Uint8Array(65_536)])) writes++;
    await simulation.runFor(1_000);
    expect(writes).toBeLessThan(10);
    expect(drained).toBe(false);
    simulation.network.heal('a', 'b');
    await simulation.runFor(10);
    expect([drained, connection.pendingBytes]).toEqual([true, 0]);
  });
});

describe('other troubles of the network', () => {
  test('clogging holds back for a time what is sent then', async () => {
    const { simulation, connection, heardByB } = await talk();
    simulation.network.clog('a', 'b', 500);
    connection.write(text('late'));
    await simulation.runFor(499);
    expect(heardByB).toEqual([]);
    await simulation.runFor(10);
    expect(heardByB.join('')).toBe('late');
  });

  test('a link can be made slow; delays are exponential above the minimum', async () => {
    const { simulation, connection, accepted, heardByA } = await talk();
    simulation.network.setDelay('a', 'b', { minMs: 20, meanMs: 50 });
    const trips: number[] = [];
    accepted.handle({ onData: (bytes) => accepted.write([bytes]), onClose: () => {} });
    for (let trip = 0; trip < 200; trip++) {
      const startMs = simulation.nowMs;
      heardByA.length = 0;
      connection.write(text('x'));
      await simulation.runUntil(() => heardByA.length > 0);
      trips.push(simulation.nowMs - startMs);
    }
    expect(Math.min(...trips)).toBeGreaterThanOrEqual(40);
    const meanMs = trips.reduce((sum, trip) => sum + trip, 0) / trips.length;
    expect(meanMs).toBeGreaterThan(85);
    expect(meanMs).toBeLessThan(115);
  });

  test('connections can be reset between two hosts', async () => {
    const { simulation, heardByA, heardByB } = await talk();
    expect(simulation.network.resetConnections('a', 'b')).toBe(1);
    await simulation.runFor(10);
    expect([heardByA, heardByB]).toEqual([['closed: reset'], ['closed: reset']]);
    expect(simulation.network.resetConnections('a')).toBe(0);
  });

  test('a stream has no message boundaries: what was written together may arrive in pieces', async () => {
    let pieces = 0;
    for (let seed = 0; seed < 60; seed++) {
      const { simulation, connection, heardByB } = await talk(seed);
      connection.write(text('abcdef'));
      await simulation.runFor(10);
      expect(heardByB.join('')).toBe('abcdef');
      if (heardByB.length > 1) pieces++;
    }
    expect(pieces).toBeGreaterThan(0);
  });

  test('a sender that changes its bytes after write is found out', async () => {
    const { simulation, connection, heardByB } = await talk();
    const bytes = Buffer.from('abc');
    connection.write([bytes]);
    bytes.fill(120);
    await simulation.runFor(10);
    expect(heardByB.join('')).toBe('xxx');
  });
});

describe('peers of a node that stops', () => {
  test('a crash resets its connections and frees its ports', async () => {
    const { simulation, a, b, connection, heardByA, heardByB } = await talk();
    b.crash();
    connection.write(text('too late'));
    await simulation.runFor(10);
    expect([heardByA, heardByB]).toEqual([['closed: reset'], []]);
    const refused = a.runtime.network.connect({ host: 'b', port: 1 });
    await expect(simulation.complete(refused)).rejects.toMatchObject({ code: 'refused' });
    const { network } = b.restart();
    await simulation.complete(network.listen({ host: 'b', port: 1 }, () => {}));
    await simulation.complete(a.runtime.network.connect({ host: 'b', port: 1 }));
  });

  test('a crash in the middle of a handshake leaves the caller with an error or a reset', async () => {
    const results = new Set<string>();
    for (let events = 0; events < 6; events++) {
      const { simulation, a, b } = await talk();
      const heard: string[] = [];
      const start = simulation.eventCount;
      const attempt = a.runtime.network.connect({ host: 'b', port: 1 }, { timeoutMs: 100 });
      attempt.then(
        (connection) => listenTo(connection, heard),
        (error) => heard.push(error.code),
      );
      await simulation.runUntil(() => simulation.eventCount >= start + events, 50).catch(() => {});
      b.crash();
      await simulation.runFor(200);
      expect(heard).toHaveLength(1);
      results.add(heard[0] as string);
    }
    expect([...results].sort()).toEqual(['closed: reset', 'refused']);
  });

  test('a machine that loses power silently answers nothing; back again, it resets what it does not know', async () => {
    const { simulation, a, b, connection, heardByA } = await talk();
    b.losePower({ silent: true });
    connection.write(text('anybody there?'));
    await simulation.runFor(60_000);
    expect(heardByA).toEqual([]);
    const attempt = a.runtime.network.connect({ host: 'b', port: 1 }, { timeoutMs: 500 });
    await expect(simulation.complete(attempt)).rejects.toMatchObject({ code: 'timeout' });
    b.restart();
    await simulation.runFor(10);
    expect(heardByA).toEqual(['closed: reset']);
  });

  test('power can go after the process, too: then nobody refuses', async () => {
    const { simulation, a, b } = await talk();
    b.crash();
    b.losePower({ silent: true });
    const attempt = a.runtime.network.connect({ host: 'b', port: 1 }, { timeoutMs: 500 });
    await expect(simulation.complete(attempt)).rejects.toMatchObject({ code: 'timeout' });
  });

  test('an idle peer of such a machine learns of it when it writes', async () => {
    const { simulation, b, connection, heardByA } = await talk();
    b.losePower({ silent: true });
    b.restart();
    await simulation.runFor(60_000);
    expect(heardByA).toEqual([]);
    connection.write(text('hello again'));
    await simulation.runFor(10);
    expect(heardByA).toEqual(['closed: reset']);
  });

  test('a paused node still accepts, by its system; it hears everything on resume', async () => {
    const { simulation, a, b, connection, heardByA, heardByB } = await talk();
    b.pause();
    connection.write(text('one'));
    await simulation.runFor(5_000);
    const second = await simulation.complete(a.runtime.network.connect({ host: 'b', port: 1 }));
    second.write(text('two'));
    await simulation.runFor(5_000);
    expect([heardByA, heardByB]).toEqual([[], []]);
    b.resume();
    await simulation.runFor(10);
    expect(heardByB.sort().join(' ')).toBe('one two');
  });
});
