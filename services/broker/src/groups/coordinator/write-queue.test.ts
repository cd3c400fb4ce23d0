import { describe, expect, test } from 'vitest';
import type { Deadlines } from '../../replication/deadlines.ts';
import type { Partition } from '../../replication/partition.ts';
import type { GroupRecord } from '../records/group-record.ts';
import { WriteQueue } from './write-queue.ts';

const deadlines = { set: () => 0, clear: () => undefined } as unknown as Deadlines;

/** A queue into a log whose batches have at most so many bytes; counts them. */
function make(bytesMax: number) {
  let batches = 0;
  const append = () => ({ kind: 'appended', endOffset: ++batches });
  const partition = { append, log: { config: { 'max.message.bytes': bytesMax } } } as unknown as Partition;
  const queue = new WriteQueue({ partition, deadlines, timeoutMs: 5_000, wallMs: () => 0, apply: () => undefined });
  return { queue, batches: () => batches };
}

const records = Array.from({ length: 20 }, (_, i): GroupRecord => {
  return { kind: 'group', group: `a group with some name ${i}`, value: null };
});

describe('records on their way into the log', () => {
  test('what does not fit into one batch goes into several', () => {
    const { queue, batches } = make(400);
    queue.write(records, () => undefined);
    expect(batches()).toBeGreaterThan(1);
  });

  test('what must be in one batch is refused when it does not fit, and nothing of it is written', () => {
    const { queue, batches } = make(400);
    const outcomes: string[] = [];
    queue.write(records, (outcome) => outcomes.push(outcome), undefined, true);
    expect([outcomes, batches()]).toEqual([['too-large'], 0]);
    make(4_000).queue.write(
      records,
      (outcome) => outcomes.push(outcome),
      () => outcomes.push('appended'),
      true,
    );
    expect(outcomes).toEqual(['too-large', 'appended']);
  });
});
