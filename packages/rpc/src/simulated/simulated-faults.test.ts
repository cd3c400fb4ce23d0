import { createSimulation, type Simulation } from '@naru/runtime/simulated';
import { describe, expect, test } from 'vitest';
import { Pair, produceRequest, produceResponse } from '../contracts/transport-world.ts';

function pairIn(simulation: Simulation): Pair {
  return new Pair({
    server: simulation.addNode('server').runtime,
    client: simulation.addNode('client').runtime,
    address: { host: 'server', port: 9_092 },
    run: (task) => simulation.complete(task()),
    close: async () => {},
  });
}

describe('the simulated transport under faults', () => {
  test('a cut that nobody is told of is found by keepalive, on both sides, within three intervals', async () => {
    const simulation = createSimulation({ seed: 7 });
    const pair = pairIn(simulation);
    await simulation.complete(pair.start({ keepaliveMs: 1_000 }));
    const { recorder } = pair.open();
    await simulation.complete(pair.accepted(1));
    // A quiet connection that works is left alone.
    await simulation.runFor(20_000);
    expect(recorder.closes).toEqual([]);
    simulation.network.cut('client', 'server');
    const cutAt = simulation.nowMs;
    expect(await simulation.complete(recorder.closed())).toMatchObject({ code: 'unavailable' });
    const [heard] = pair.recorders;
    await simulation.runUntil(() => heard?.closes.length === 1);
    expect(heard?.closes).toMatchObject([{ code: 'unavailable' }]);
    expect(simulation.nowMs - cutAt).toBeLessThanOrEqual(3_001);
    expect(pair.channel.closed).toBe(true);
  });

  test('a crashed server is "unavailable" for each stream once, and for the next connection', async () => {
    const simulation = createSimulation({ seed: 8 });
    const pair = pairIn(simulation);
    await simulation.complete(pair.start());
    const opened = [pair.open(), pair.open()];
    await simulation.complete(pair.accepted(2));
    simulation.nodes[0]?.crash();
    for (const { recorder } of opened) {
      expect(await simulation.complete(recorder.closed())).toMatchObject({ code: 'unavailable' });
      expect(recorder.closes).toHaveLength(1);
    }
    await expect(
      simulation.complete(pair.clientRpc.connect({ host: 'server', port: 9_092 }, { timeoutMs: 100 })),
    ).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('server:9092') });
  });

  test('the same seed gives the same run', async () => {
    const run = async (seed: number): Promise<string> => {
      const simulation = createSimulation({ seed });
      const pair = pairIn(simulation);
      pair.onStream = (accepted, recorder) => {
        recorder.onEach = (message) => accepted.send(produceResponse(message.correlationId));
      };
      await simulation.complete(pair.start());
      const { stream, recorder } = pair.open();
      for (let id = 1; id <= 200; id += 1) stream.send(produceRequest(id, Buffer.alloc(20_000, id)));
      await simulation.complete(recorder.received(200));
      await simulation.complete(pair.stop());
      return simulation.traceHash;
    };
    expect(await run(1)).toBe(await run(1));
    expect(await run(1)).not.toBe(await run(2));
  });
});
