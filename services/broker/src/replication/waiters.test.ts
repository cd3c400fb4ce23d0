import { describe, expect, test } from 'vitest';
import { type AckOutcome, AckQueue } from './waiters.ts';

function waiter(told: string[], name: string) {
  return { acknowledged: (outcome: AckOutcome) => told.push(`${name} ${outcome}`) };
}

describe('appends that wait for the high watermark', () => {
  test('are told in the order of their offsets, as far as it has come', () => {
    const queue = new AckQueue();
    const told: string[] = [];
    for (const end of [5, 10, 15]) queue.add(end, waiter(told, `${end}`));
    queue.highWatermarkAdvanced(4);
    expect(told).toEqual([]);
    queue.highWatermarkAdvanced(12);
    expect(told).toEqual(['5 replicated', '10 replicated']);
    expect(queue.size).toBe(1);
  });

  test('row 50: fail together when leadership is lost, and what comes later is not touched by it', () => {
    const queue = new AckQueue();
    const told: string[] = [];
    queue.add(5, waiter(told, 'a'));
    queue.add(9, waiter(told, 'b'));
    queue.failAll('leadership-lost');
    expect(told).toEqual(['a leadership-lost', 'b leadership-lost']);
    queue.add(3, waiter(told, 'c'));
    queue.highWatermarkAdvanced(3);
    expect(told.at(-1)).toBe('c replicated');
  });

  test('row 39: a batch that came a second time waits for its own offset, not behind those after it', () => {
    const queue = new AckQueue();
    const told: string[] = [];
    for (const end of [5, 10, 15]) queue.add(end, waiter(told, `${end}`));
    queue.highWatermarkAdvanced(5);
    queue.add(10, waiter(told, 'again 10'));
    queue.add(12, waiter(told, 'part of 15'));
    queue.highWatermarkAdvanced(12);
    expect(told).toEqual(['5 replicated', '10 replicated', 'again 10 replicated', 'part of 15 replicated']);
    expect(queue.size).toBe(1);
  });

  test('a long queue keeps its order while its head is given back', () => {
    const queue = new AckQueue();
    const told: string[] = [];
    for (let end = 1; end <= 5_000; end++) queue.add(end, waiter(told, `${end}`));
    for (let end = 7; end <= 5_000; end += 7) queue.highWatermarkAdvanced(end);
    queue.highWatermarkAdvanced(5_000);
    expect(told).toEqual(Array.from({ length: 5_000 }, (_, i) => `${i + 1} replicated`));
    expect(queue.size).toBe(0);
  });
});
