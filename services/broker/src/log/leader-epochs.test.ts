import { createSimulation } from '@naru/runtime/simulated';
import { describe, expect, test } from 'vitest';
import { LeaderEpochs } from './leader-epochs.ts';

async function vector(entries: readonly (readonly [number, number])[]) {
  const simulation = createSimulation({ seed: 'epochs' });
  const { disk } = simulation.addNode('broker').runtime;
  await simulation.complete(disk.makeDirectory('/log'));
  const { epochs } = await simulation.complete(LeaderEpochs.load(disk, '/log'));
  for (const [epoch, startOffset] of entries) epochs.learn(epoch, startOffset);
  return { simulation, disk, epochs };
}

describe('KIP-101, KIP-279 (row 3): the end of an epoch', () => {
  test('is the start of the next one, of the largest epoch that is not above the asked one', async () => {
    const { epochs } = await vector([
      [2, 0],
      [4, 10],
      [7, 25],
    ]);
    expect(epochs.endOffsetFor(7, 40)).toEqual({ epoch: 7, endOffset: 40 });
    expect(epochs.endOffsetFor(6, 40)).toEqual({ epoch: 4, endOffset: 25 });
    expect(epochs.endOffsetFor(4, 40)).toEqual({ epoch: 4, endOffset: 25 });
    expect(epochs.endOffsetFor(3, 40)).toEqual({ epoch: 2, endOffset: 10 });
    expect(epochs.endOffsetFor(1, 40)).toEqual({ epoch: 1, endOffset: 0 });
    expect(epochs.endOffsetFor(8, 40)).toEqual({ epoch: -1, endOffset: -1 });
    expect(epochs.endOffsetFor(-1, 40)).toEqual({ epoch: -1, endOffset: -1 });
    expect((await vector([])).epochs.endOffsetFor(0, 0)).toEqual({ epoch: -1, endOffset: -1 });
  });
});

test('L2: an epoch that wrote nothing gives way to the next one at the same offset', async () => {
  const { epochs } = await vector([
    [1, 0],
    [2, 5],
    [3, 5],
  ]);
  expect(epochs.entries).toEqual([
    { epoch: 1, startOffset: 0 },
    { epoch: 3, startOffset: 5 },
  ]);
  expect(() => epochs.learn(2, 9)).toThrow('leader epoch 2 after 3');
});

test('both ends are cut with the log (row 17)', async () => {
  const { epochs } = await vector([
    [1, 0],
    [2, 5],
    [3, 9],
  ]);
  epochs.truncateFromEnd(9);
  expect(epochs.latest).toBe(2);
  epochs.truncateFromStart(7);
  expect(epochs.entries).toEqual([{ epoch: 2, startOffset: 7 }]);
  expect([epochs.epochOf(6), epochs.epochOf(7)]).toEqual([-1, 2]);
});

test("row 62: an assignment is durable when it resolves, in Kafka's text format", async () => {
  const { simulation, epochs } = await vector([[1, 0]]);
  await simulation.complete(epochs.assign(4, 12));
  const [node] = simulation.nodes;
  node?.losePower({ unsynced: 'lost' });
  const text = Buffer.from(node?.disk.contentOf('/log/leader-epoch-checkpoint') ?? []).toString();
  expect(text).toBe('0\n2\n1 0\n4 12\n');
});

test('assignments at the same time are all written', async () => {
  const { simulation, epochs } = await vector([]);
  await simulation.complete(Promise.all([epochs.assign(1, 0), epochs.assign(2, 3), epochs.assign(3, 8)]));
  expect(epochs.isDirty).toBe(false);
  const text = Buffer.from(simulation.nodes[0]?.disk.contentOf('/log/leader-epoch-checkpoint') ?? []).toString();
  expect(text).toBe('0\n3\n1 0\n2 3\n3 8\n');
});

test.each(['', '0\n1\n', '0\n1\n1 x\n', '1\n1\n1 0\n', '0\n2\n2 0\n1 5\n', '0\n2\n1 5\n2 5\n', '0\n1\n1 0'])(
  'a file that nobody could have written is not used: %j',
  async (text) => {
    const { simulation, disk } = await vector([]);
    await simulation.complete(disk.replaceFile('/log/leader-epoch-checkpoint', Buffer.from(text)));
    const loaded = await simulation.complete(LeaderEpochs.load(disk, '/log'));
    expect([loaded.found, loaded.epochs.entries]).toEqual([false, []]);
  },
);
