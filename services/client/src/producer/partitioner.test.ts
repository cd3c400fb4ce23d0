import { SeededRandom } from '@naru/runtime/simulated';
import { describe, expect, test } from 'vitest';
import { roundRobin, StickyChoice, type TopicLoad } from './partitioner.ts';

function load(waiting: readonly number[], unavailable: readonly number[] = []): TopicLoad {
  return {
    partitionsCount: waiting.length,
    isAvailable: (partition) => !unavailable.includes(partition),
    waitingBatches: (partition) => waiting[partition] as number,
  };
}

/** How often each partition is drawn in 3,000 switches. */
function draws(topic: TopicLoad): number[] {
  const choice = new StickyChoice(1, new SeededRandom('draws'));
  const counts = new Array<number>(topic.partitionsCount).fill(0);
  for (let i = 0; i < 3_000; i++) {
    const partition = choice.current(topic);
    counts[partition] = (counts[partition] as number) + 1;
    choice.add(1);
    choice.onBatchFull(topic);
  }
  return counts;
}

describe('sticky choice (KIP-480, KIP-794)', () => {
  test('stays until batch.size bytes went to a partition, and moves only when its batch is full', () => {
    const choice = new StickyChoice(1_000, new SeededRandom('sticky'));
    const topic = load([0, 0, 0]);
    const first = choice.current(topic);
    choice.add(600);
    expect(choice.onBatchFull(topic)).toBe(false);
    choice.add(600);
    expect(choice.current(topic)).toBe(first);
    expect(choice.onBatchFull(topic)).toBe(true);
    choice.add(600);
    expect(choice.onBatchFull(topic)).toBe(false);
  });

  test('queues of one length are drawn alike', () => {
    for (const count of draws(load([2, 2, 2]))) expect(count).toBeGreaterThan(900);
  });

  test('a longer queue is drawn less often, one without a leader never', () => {
    const [idle, busy, offline] = draws(load([0, 3, 0], [2])) as [number, number, number];
    expect(idle / busy).toBeGreaterThan(3);
    expect(idle / busy).toBeLessThan(5);
    expect(offline).toBe(0);
  });

  test('without any leader the records still get a partition', () => {
    expect(draws(load([0, 0], [0, 1])).every((count) => count > 0)).toBe(true);
  });

  test('a topic that shrank (it was deleted and made anew) is drawn anew', () => {
    const choice = new StickyChoice(1_000, new SeededRandom('shrink'));
    while (choice.current(load([9, 9, 0])) !== 2) {
      choice.add(1_000);
      choice.onBatchFull(load([9, 9, 0]));
    }
    expect(choice.current(load([0]))).toBe(0);
  });
});

test('round robin: each topic in turn, without the partitions that have no leader', () => {
  const choose = roundRobin();
  const request = { topic: 't', key: null, value: null, partitionsCount: 3, available: [0, 2] };
  expect([1, 2, 3].map(() => choose(request))).toEqual([0, 2, 0]);
  expect(choose({ ...request, topic: 'u' })).toBe(0);
  expect(choose({ ...request, available: [] })).toBe(0);
});
