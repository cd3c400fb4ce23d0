import { describe, expect, test } from 'vitest';
import type { History, ListedOffset, Read, Send, SendOutcome } from '../workload/history.ts';
import { checkHistory } from './check-history.ts';
import { figuresOf } from './figures.ts';

/** Sends a record at `atMs`, a millisecond before its outcome. */
function send(producer: number, sequence: number, offset: number, more: Partial<Send> = {}): Send {
  const outcome: SendOutcome = more.outcome ?? 'acked';
  const invokedMs = more.invokedMs ?? sequence * 10;
  return {
    producer,
    sequence,
    partition: 0,
    invokedMs,
    endedMs: invokedMs + 1,
    outcome,
    offset: outcome === 'acked' ? offset : -1,
    error: undefined,
    ...more,
  };
}

function read(offset: number, producer: number, sequence: number, more: Partial<Read> = {}): Read {
  return { reader: 0, partition: 0, offset, producer, sequence, atMs: 1_000 + offset, ...more };
}

function end(offset: number, invokedMs: number): ListedOffset {
  return { partition: 0, offset, invokedMs, endedMs: invokedMs + 1 };
}

function history(more: Partial<History>): History {
  const nothing = { sends: [], polls: [], ends: [], committed: [], final: [] };
  return { acks: 'all', isIdempotent: false, partitions: 1, readersGoBack: false, ...nothing, ...more };
}

/** Three records, acknowledged, polled and there at the end. */
const sends = [send(1, 0, 0), send(1, 1, 1), send(1, 2, 2)];
const reads = [read(0, 1, 0), read(1, 1, 1), read(2, 1, 2)];
const good = history({ sends, polls: reads, final: reads, ends: [end(1, 15), end(3, 40)] });

function rulesOf(one: History): string[] {
  return [...new Set(checkHistory(one).map((violation) => violation.rule))];
}

describe('histories that keep every promise', () => {
  test('acknowledged, polled and read at the end', () => {
    expect(checkHistory(good)).toEqual([]);
  });

  test('an unknown write may be there, may be missing, and may come after later ones', () => {
    const unknown = send(1, 1, -1, { outcome: 'unknown' });
    const others = [send(1, 0, 0), unknown, send(1, 2, 1)];
    expect(checkHistory(history({ sends: others, final: [read(0, 1, 0), read(1, 1, 2)] }))).toEqual([]);
    expect(checkHistory(history({ sends: others, final: [read(0, 1, 0), read(1, 1, 2), read(2, 1, 1)] }))).toEqual([]);
  });

  test('C4, row 39: a retry may write a record twice, it is counted; not of an idempotent producer', () => {
    const twice = history({
      sends: [send(1, 0, 1), send(1, 1, 2)],
      final: [read(0, 1, 0), read(1, 1, 0), read(2, 1, 1)],
    });
    expect(checkHistory(twice)).toEqual([]);
    expect(rulesOf({ ...twice, isIdempotent: true })).toEqual(['C4']);
    expect(figuresOf(twice, { fromMs: 0, toMs: 20 }).duplicated).toBe(1);
  });

  test('a definite failure that is not there', () => {
    const failed = send(1, 1, -1, { outcome: 'failed', error: 'NotEnoughReplicasError: …' });
    expect(checkHistory(history({ sends: [send(1, 0, 0), failed], final: [read(0, 1, 0)] }))).toEqual([]);
  });

  test('row 14: acks=1 may lose what it acknowledged', () => {
    const lost = history({
      acks: '1',
      sends: [send(1, 0, 0), send(1, 1, 1), send(2, 0, 1)],
      final: [read(0, 1, 0), read(1, 2, 0)],
    });
    expect(checkHistory(lost)).toEqual([]);
    expect(figuresOf(lost, { fromMs: 0, toMs: 20 }).lost).toBe(1);
  });
});

describe('histories that break one', () => {
  test('C1: an acknowledged record is missing at the end of the log', () => {
    expect(rulesOf({ ...good, polls: [], final: reads.slice(0, 2) })).toEqual(['C1']);
  });

  test('C1: an acknowledged record stands at another offset than the one it was told', () => {
    const moved = history({ sends: [send(1, 0, 0), send(1, 1, 2)], final: [read(0, 1, 0), read(1, 1, 1)] });
    expect(rulesOf(moved)).toContain('C1');
  });

  test('C2: two acknowledgements name one offset', () => {
    const both = history({ sends: [send(1, 0, 0), send(2, 0, 0)], final: [read(0, 1, 0)] });
    expect(rulesOf(both)).toContain('C2');
  });

  test('C2: two readers saw different records at one offset', () => {
    const polls = [read(0, 1, 0), read(0, 1, 1, { reader: 1 })];
    expect(rulesOf({ ...good, polls })).toContain('C2');
  });

  test('C3: a record that nobody sent', () => {
    expect(rulesOf({ ...good, final: [...reads, read(3, 9, 9)] })).toEqual(['C3']);
  });

  test('C3: torn bytes', () => {
    const torn = { ...good, final: [...reads, read(3, -1, -1)] };
    expect(rulesOf(torn)).toEqual(['C3']);
    expect(figuresOf(torn, { fromMs: 0, toMs: 1 }).torn).toBe(1);
  });

  test('C3: a record in another partition than it was sent to', () => {
    const elsewhere = history({
      sends: [send(1, 0, -1, { outcome: 'unknown' })],
      final: [read(0, 1, 0, { partition: 1 })],
    });
    expect(rulesOf(elsewhere)).toEqual(['C3']);
  });

  test('C5: two records of a producer change places', () => {
    const swapped = history({
      sends: [send(1, 0, 1, { invokedMs: 0 }), send(1, 1, 0, { invokedMs: 0 })],
      final: [read(0, 1, 1), read(1, 1, 0)],
    });
    expect(rulesOf(swapped)).toEqual(['C5']);
    expect(figuresOf(swapped, { fromMs: 0, toMs: 1 }).reordered).toBe(1);
  });

  test('C5: the acknowledged offsets are in order, an earlier copy is not', () => {
    const copies = history({
      sends: [send(1, 0, 1, { invokedMs: 0 }), send(1, 1, 2, { invokedMs: 0 })],
      final: [read(0, 1, 1), read(1, 1, 0), read(2, 1, 1)],
    });
    expect(rulesOf(copies)).toEqual(['C5']);
  });

  test('C6: acknowledged before another was sent, and behind it', () => {
    const crossed = history({
      sends: [send(1, 0, 1, { invokedMs: 0, endedMs: 5 }), send(2, 0, 0, { invokedMs: 10, endedMs: 15 })],
      final: [read(0, 2, 0), read(1, 1, 0)],
    });
    expect(rulesOf(crossed)).toEqual(['C6']);
    const overlapping = history({
      sends: [send(1, 0, 1, { invokedMs: 0, endedMs: 12 }), send(2, 0, 0, { invokedMs: 10, endedMs: 15 })],
      final: [read(0, 2, 0), read(1, 1, 0)],
    });
    expect(checkHistory(overlapping)).toEqual([]);
  });

  test.each([
    ['skips', [0, 2]],
    ['goes back', [0, 1, 0]],
    ['begins late', [1, 2]],
  ])('C7: a consumer that %s', (_, offsets) => {
    expect(rulesOf({ ...good, polls: offsets.map((offset) => reads[offset] as Read) })).toEqual(['C7']);
  });

  test('C7: the final read has a hole', () => {
    const holed = history({ sends: [send(1, 0, 0), send(1, 1, 2)], final: [read(0, 1, 0), read(2, 1, 1)] });
    expect(rulesOf(holed)).toEqual(['C7']);
  });

  test('C8: what a consumer once read is gone', () => {
    const gone = history({
      sends: [send(1, 0, 0), send(1, 1, -1, { outcome: 'unknown' })],
      polls: reads.slice(0, 2),
      final: reads.slice(0, 1),
    });
    expect(rulesOf(gone)).toEqual(['C8']);
  });

  test('C10: the end goes back in real time', () => {
    expect(rulesOf({ ...good, ends: [end(3, 40), end(2, 50)] })).toEqual(['C10']);
    const atOnce = [end(3, 40), { ...end(2, 39), endedMs: 45 }];
    expect(checkHistory({ ...good, ends: atOnce })).toEqual([]);
  });

  test('C13, row 55: a write that failed for certain is read', () => {
    const refused = [send(1, 0, 0), send(1, 1, -1, { outcome: 'failed', error: 'NotEnoughReplicasError: …' })];
    expect(rulesOf(history({ sends: refused, final: reads.slice(0, 2) }))).toEqual(['C13']);
  });
});

test('the longest gap is that of the worst partition, within the fault alone', () => {
  const other = (sequence: number, invokedMs: number) => send(2, sequence, sequence, { invokedMs, partition: 1 });
  const gaps = history({
    partitions: 2,
    sends: [send(1, 0, 0), send(1, 30, 1), send(1, 100, 2), ...[5, 10, 15, 20, 25].map((n) => other(n, n * 20))],
  });
  expect(figuresOf(gaps, { fromMs: 0, toMs: 500 }).longestGapMs).toBe(300);
  expect(figuresOf(history({ partitions: 1 }), { fromMs: 100, toMs: 700 }).longestGapMs).toBe(600);
});
