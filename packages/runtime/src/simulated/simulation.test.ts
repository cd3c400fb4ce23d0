import { describe, expect, test } from 'vitest';
import { sleep } from '../clock.ts';
import type { Runtime } from '../runtime.ts';
import { createSimulation, type Simulation, SimulationTimeout } from './simulation.ts';

/** Nodes that talk, write and draw lots, while one of them crashes and comes back. */
async function busyWorld(seed: number): Promise<Simulation> {
  const simulation = createSimulation({ seed });
  const nodes = ['a', 'b', 'c'].map((name) => simulation.addNode(name));
  const start = (runtime: Runtime, name: string): void => {
    void live(simulation, runtime, name);
  };
  for (const node of nodes) start(node.runtime, node.name);
  simulation.at(50, () => nodes[1]?.losePower());
  simulation.at(90, () => {
    const runtime = nodes[1]?.restart();
    if (runtime) start(runtime, 'b');
  });
  await simulation.runFor(300);
  return simulation;
}

function raise(message: string): never {
  throw new Error(message);
}

async function live(simulation: Simulation, runtime: Runtime, name: string): Promise<void> {
  await runtime.network.listen({ host: name, port: 1 }, (connection) => {
    connection.handle({
      onData: (bytes) => simulation.trace(`${name} got ${Buffer.from(bytes)} from ${connection.remote.host}`),
      onClose: (error) => simulation.trace(`${name} lost ${connection.remote.host}: ${error?.code}`),
    });
  });
  await runtime.disk.makeDirectory('/data');
  const file = await runtime.disk.open('/data/log', { create: true });
  for (let round = 0; ; round++) {
    file.append([runtime.random.nextBytes(20)]);
    await file.sync();
    const peer = ['a', 'b', 'c'][runtime.random.nextInt(3)] as string;
    const connection = await runtime.network.connect({ host: peer, port: 1 }).catch(() => undefined);
    connection?.write([Buffer.from(`${round} ${file.size}`)]);
    connection?.end();
    await sleep(runtime.timers, runtime.random.nextFloat() * 5);
  }
}

describe('determinism', () => {
  test('the same seed gives the same run, event for event', async () => {
    const [first, second] = [await busyWorld(7), await busyWorld(7)];
    expect(first.eventCount).toBeGreaterThan(500);
    expect(second.eventCount).toBe(first.eventCount);
    expect(second.traceHash).toBe(first.traceHash);
  });

  test('another seed gives another run', async () => {
    const hashes = await Promise.all([1, 2, 3, 4].map(async (seed) => (await busyWorld(seed)).traceHash));
    expect(new Set(hashes).size).toBe(4);
  });

  test('simulations side by side do not touch each other', async () => {
    const alone = (await busyWorld(9)).traceHash;
    const together = await Promise.all([busyWorld(9), busyWorld(10), busyWorld(9)]);
    expect([together[0]?.traceHash, together[2]?.traceHash]).toEqual([alone, alone]);
  });

  test('what one node draws does not shift what another one gets', () => {
    const drawOfB = (drawsOfA: number): number => {
      const simulation = createSimulation({ seed: 1 });
      const [a, b] = [simulation.addNode('a'), simulation.addNode('b')];
      for (let draw = 0; draw < drawsOfA; draw++) a.runtime.random.nextFloat();
      return b.runtime.random.nextFloat();
    };
    expect(drawOfB(5)).toBe(drawOfB(0));
  });

  test('the trace keeps the last lines for people', async () => {
    const simulation = createSimulation({ seed: 1, traceLinesMax: 2 });
    for (const line of ['one', 'two', 'three']) simulation.trace(line);
    await simulation.runFor(1.5);
    simulation.trace('four');
    expect(simulation.traceLines).toEqual(['0.000 three', '1.500 four']);
  });
});

describe('virtual time', () => {
  test('a year passes at once when nothing happens in it', async () => {
    const simulation = createSimulation({ seed: 1 });
    const { runtime } = simulation.addNode('a');
    let fired = 0;
    for (let day = 1; day <= 365; day++) runtime.timers.after(day * 86_400_000, () => fired++);
    await simulation.runFor(365 * 86_400_000);
    expect(fired).toBe(365);
    expect(simulation.eventCount).toBe(365);
  });

  test('every promise of one event is settled before the next event, though both are due', async () => {
    const simulation = createSimulation({ seed: 1 });
    const { timers } = simulation.addNode('a').runtime;
    const seen: string[] = [];
    timers.after(1, async () => {
      for (let step = 0; step < 100; step++) await undefined;
      process.nextTick(() => seen.push('tick of the first'));
      await undefined;
      seen.push('first');
    });
    timers.after(1, () => seen.push('second'));
    await simulation.runFor(1);
    expect(seen).toEqual(['first', 'tick of the first', 'second']);
  });

  test('a run starts with the promises that were left open by the test', async () => {
    const simulation = createSimulation({ seed: 1 });
    const { timers } = simulation.addNode('a').runtime;
    let fired = false;
    void Promise.resolve()
      .then(() => undefined)
      .then(() =>
        timers.after(1, () => {
          fired = true;
        }),
      );
    await simulation.runFor(1);
    expect(fired).toBe(true);
  });

  test('runUntil stops at the event that makes it true; the clock stands where it was', async () => {
    const simulation = createSimulation({ seed: 1 });
    const { timers } = simulation.addNode('a').runtime;
    let count = 0;
    const tick = (): void => {
      count++;
      timers.after(10, tick);
    };
    timers.after(10, tick);
    await simulation.runUntil(() => count === 3);
    expect(simulation.nowMs).toBe(30);
    await expect(simulation.runUntil(() => count === 1_000, 100)).rejects.toThrow(SimulationTimeout);
    expect(simulation.nowMs).toBe(130);
  });

  test('complete gives a promise’s value or error, and gives up on one that never settles', async () => {
    const simulation = createSimulation({ seed: 1 });
    const { timers } = simulation.addNode('a').runtime;
    expect(await simulation.complete(sleep(timers, 5).then(() => 'value'))).toBe('value');
    await expect(simulation.complete(Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await expect(simulation.complete(new Promise(() => {}), 100)).rejects.toThrow('seed 1: the promise did not settle');
  });

  test('checks run after every event; what a check or an event throws ends the run', async () => {
    const simulation = createSimulation({ seed: 1 });
    const { timers } = simulation.addNode('a').runtime;
    let value = 0;
    simulation.afterEvent(() => {
      if (value === 2) throw new Error('an invariant is broken');
    });
    for (const delayMs of [1, 2, 3]) timers.after(delayMs, () => value++);
    await expect(simulation.runFor(10)).rejects.toThrow('an invariant is broken');
    expect(simulation.nowMs).toBe(2);
    value = 0;
    timers.after(0.5, () => {
      throw new Error('a bug in a callback');
    });
    await expect(simulation.runFor(10)).rejects.toThrow('a bug in a callback');
  });

  test('what a tick or a microtask throws is uncaught as in every process; whoever listens can go on with the run', async () => {
    const simulation = createSimulation({ seed: 1 });
    const told: unknown[] = [];
    const others = process.rawListeners('uncaughtException') as NodeJS.UncaughtExceptionListener[];
    process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => told.push(error.message));
    simulation.at(1, () => process.nextTick(raise, 'in a tick'));
    simulation.at(2, () => queueMicrotask(() => raise('in a microtask')));
    simulation.at(3, () => told.push('the next event'));
    try {
      await simulation.runFor(10);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const other of others) process.on('uncaughtException', other);
    }
    expect(told).toEqual(['in a tick', 'in a microtask', 'the next event']);
  });

  test('code that asks for turns without end is found out instead of hanging the run', async () => {
    const simulation = createSimulation({ seed: 1 });
    const { timers } = simulation.addNode('a').runtime;
    const again = (): void => {
      timers.nextTurn(again);
    };
    again();
    await expect(simulation.runFor(1)).rejects.toThrow('virtual time stands still');
  });

  test('the wall clock can be wrong and jump; the monotonic one does not care', async () => {
    const simulation = createSimulation({ seed: 1 });
    const [a, b] = [simulation.addNode('a'), simulation.addNode('b')];
    b.setWallOffset(-60_000);
    await simulation.runFor(1_000);
    expect(a.runtime.clock.wallMs() - b.runtime.clock.wallMs()).toBe(60_000);
    expect(b.runtime.clock.monotonicMs()).toBe(1_000);
    a.crash();
    b.crash();
    await simulation.runFor(1_000);
    expect(b.restart().clock.monotonicMs()).toBe(0);
    expect(a.restart().clock.wallMs() - b.runtime.clock.wallMs()).toBe(60_000);
  });

  test('the wall clock can be fast; the monotonic one is right', async () => {
    const simulation = createSimulation({ seed: 1 });
    const [a, b] = [simulation.addNode('a'), simulation.addNode('b')];
    b.setWallDrift(500);
    await simulation.runFor(10_000);
    expect(b.runtime.clock.wallMs() - a.runtime.clock.wallMs()).toBe(5);
    expect(b.runtime.clock.monotonicMs()).toBe(10_000);
  });
});

describe('processes', () => {
  test('after a crash nothing of the old life runs: timers, turns, disk, sleeping code', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    const { timers, disk } = node.runtime;
    let ran = 0;
    timers.after(5, () => ran++);
    timers.nextTurn(() => ran++);
    void disk.makeDirectory('/d').then(() => ran++);
    void sleep(timers, 3).then(() => ran++);
    node.crash();
    node.restart();
    await simulation.runFor(1_000);
    expect(ran).toBe(0);
  });

  test('code that crashed its own node is a ghost: it changes nothing and waits forever', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    const { disk, stores, network, timers } = node.runtime;
    const file = await simulation.complete(disk.open('/f', { create: true }));
    const store = await simulation.complete(stores.open('/s'));
    let ran = 0;
    timers.after(1, () => {
      node.crash();
      file.append([Buffer.from('ghost')]);
      disk.openNow('/ghost', { create: true }).append([Buffer.from('ghost')]);
      const attempts = [
        disk.rename('/f', '/g'),
        disk.remove('/f'),
        disk.makeDirectory('/h'),
        disk.replaceFile('/i', Buffer.from('ghost')),
        stores.open('/t'),
        store.batch([{ kind: 'put', key: 'ghost', value: Buffer.from('') }], { sync: true }),
        network.listen({ host: 'a', port: 1 }, () => {}),
        network.connect({ host: 'a', port: 1 }),
      ];
      for (const attempt of attempts)
        void attempt.then(
          () => ran++,
          () => ran++,
        );
      timers.after(1, () => ran++);
    });
    await simulation.runFor(1_000);
    expect(ran).toBe(0);
    expect([...node.disk.files()]).toEqual([['/f', 0]]);
    const runtime = node.restart();
    expect(await simulation.complete(runtime.disk.list('/'))).toEqual(['f', 's']);
    expect(
      await simulation.complete((await simulation.complete(runtime.stores.open('/s'))).get('ghost')),
    ).toBeUndefined();
  });

  test('locks of directories and stores end with the process', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await simulation.complete(node.runtime.disk.makeDirectory('/d'));
    await simulation.complete(node.runtime.disk.lock('/d'));
    await simulation.complete(node.runtime.stores.open('/s'));
    node.crash();
    const { disk, stores } = node.restart();
    await simulation.complete(disk.lock('/d'));
    await simulation.complete(stores.open('/s'));
  });

  test('a paused process does nothing; on resume what came due happens at once and in order', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    const seen: string[] = [];
    node.runtime.timers.after(20, () => seen.push('second'));
    node.runtime.timers.after(10, () => seen.push('first'));
    const cancelled = node.runtime.timers.after(15, () => seen.push('cancelled'));
    node.runtime.timers.after(200, () => seen.push('late'));
    node.pause();
    await simulation.runFor(100);
    expect(seen).toEqual([]);
    cancelled.cancel();
    node.resume();
    await simulation.runFor(0);
    expect(seen).toEqual(['first', 'second']);
    expect(node.runtime.clock.monotonicMs()).toBe(100);
    await simulation.runFor(100);
    expect(seen).toEqual(['first', 'second', 'late']);
  });
});

test('code that goes on after its process was ended within it fails nothing', async () => {
  const simulation = createSimulation({ seed: 1 });
  const node = simulation.addNode('a');
  node.runtime.timers.after(1, () => {
    node.crash();
    throw new Error('of a ghost');
  });
  await simulation.runFor(5);
  node.restart().timers.after(1, () => {
    throw new Error('of the living');
  });
  await expect(simulation.runFor(5)).rejects.toThrow('of the living');
});
