import { batchSizeAt, readInt32, setBaseOffset } from '@naru/record';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeProducerSnapshot, encodeProducerSnapshot } from './producer-snapshot.ts';
import { expiredProducersMax, ProducerState, runsPerProducerMax, sequenceMax } from './producer-state.ts';
import { type ProducerBatchFields, producerBatch, producerBatches } from './testing/producer-batches.ts';

const day = 86_400_000;

/** A partition that is nothing but its producer state: judges, gives offsets, appends. */
class Partition {
  readonly state = new ProducerState();
  endOffset = 0;
  nowMs = 0;

  send(...batches: readonly ProducerBatchFields[]): string | readonly number[] {
    const records = producerBatches(batches);
    const verdict = this.state.judge(records);
    if (verdict.kind === 'new') return this.append(records);
    if (verdict.kind !== 'duplicate') return verdict.kind;
    return [...verdict.baseOffsets, ...this.append(records.subarray(verdict.newFrom))];
  }

  append(records: Uint8Array): number[] {
    const offsets: number[] = [];
    for (let at = 0; at < records.length; at += batchSizeAt(records, at) as number) {
      setBaseOffset(records, at, this.endOffset);
      offsets.push(this.endOffset);
      this.endOffset += readInt32(records, at + 23) + 1;
    }
    this.state.appended(records, this.nowMs);
    return offsets;
  }
}

const of = (sequence: number, count = 1, epoch = 0, producerId = 7): ProducerBatchFields => ({
  producerId,
  epoch,
  sequence,
  count,
});
const plain = (count = 1): ProducerBatchFields => ({ producerId: -1, epoch: -1, sequence: -1, count });

describe('KIP-98: what a leader does with a batch of an idempotent producer', () => {
  test('row 39: a batch that comes again is answered with its first offset, five and more batches back', () => {
    const partition = new Partition();
    for (let i = 0; i < 5; i++) {
      expect(partition.send(of(i * 3, 3))).toEqual([i * 4]);
      partition.send(plain());
    }
    for (let i = 0; i < 5; i++) expect(partition.send(of(i * 3, 3))).toEqual([i * 4]);
    expect(partition.endOffset).toBe(20);
  });

  test('row 39: a request with many batches can come again as a whole, in parts, and with what is new behind it', () => {
    const partition = new Partition();
    const many = Array.from({ length: 40 }, (_, i) => of(i * 2, 2));
    const offsets = many.map((_, i) => i * 2);
    expect(partition.send(...many)).toEqual(offsets);
    expect(partition.send(...many)).toEqual(offsets);
    expect(partition.send(...many.slice(3, 9))).toEqual(offsets.slice(3, 9));
    partition.send(plain(5));
    expect(partition.send(...many.slice(38), of(80, 2))).toEqual([76, 78, 85]);
  });

  test('row 42: of what is too old to be remembered it is known that it is there, not where: never an error', () => {
    const partition = new Partition();
    for (let i = 0; i <= runsPerProducerMax; i++) {
      partition.send(of(i));
      partition.send(plain());
    }
    expect(partition.send(of(0))).toEqual([-1]);
    expect(partition.send(of(1))).toEqual([2]);
  });

  test('a gap is refused, and nothing of a request that has one in its middle is appended', () => {
    const partition = new Partition();
    partition.send(of(0, 3));
    expect(partition.send(of(4))).toBe('out-of-order-sequence');
    expect(partition.send(of(3), of(5))).toBe('out-of-order-sequence');
    expect(partition.send(of(0, 3), of(4))).toBe('out-of-order-sequence');
    expect(partition.send(of(2, 2)), 'half of it is there').toBe('out-of-order-sequence');
    expect(partition.endOffset).toBe(3);
    expect(partition.send(of(3))).toEqual([3]);
  });

  test('an older epoch is fenced, a newer one begins with sequence number 0', () => {
    const partition = new Partition();
    partition.send(of(0, 5, 3));
    expect(partition.send(of(5, 1, 2))).toBe('invalid-producer-epoch');
    expect(partition.send(of(0, 5, 2)), 'even what looks like a duplicate').toBe('invalid-producer-epoch');
    expect(partition.send(of(5, 1, 4))).toBe('out-of-order-sequence');
    expect(partition.send(of(0, 1, 4))).toEqual([5]);
    expect(partition.send(of(5, 1, 3))).toBe('invalid-producer-epoch');
  });

  test('row 40: a producer that is not known cannot begin in the middle', () => {
    const partition = new Partition();
    expect(partition.send(of(4))).toBe('unknown-producer-id');
    expect(partition.send(of(0), of(2))).toBe('out-of-order-sequence');
    expect(partition.send(of(0))).toEqual([0]);
  });

  test('rows 40, 41: one whose state expired goes on where it was; time decides, not the log', () => {
    const partition = new Partition();
    partition.send(of(0, 4));
    partition.state.expire(day - 1, day);
    expect(partition.send(of(0, 4))).toEqual([0]);
    partition.state.expire(day, day);
    expect(partition.send(of(0, 4)), 'the offset is forgotten, not that it was there').toEqual([-1]);
    expect(partition.send(of(5))).toBe('out-of-order-sequence');
    expect(partition.send(of(4))).toEqual([4]);
    expect(partition.send(of(4))).toEqual([4]);
  });

  test('of those that expired, the oldest are forgotten altogether', () => {
    const partition = new Partition();
    for (let id = 0; id <= expiredProducersMax; id++) {
      partition.nowMs = id;
      partition.send(of(0, 1, 0, id));
    }
    partition.state.expire(day * 2, day);
    expect(partition.state.size).toBe(expiredProducersMax);
    expect(partition.send(of(1, 1, 0, 0))).toBe('unknown-producer-id');
    expect(partition.send(of(1, 1, 0, 1))).toEqual([expiredProducersMax + 1]);
  });

  test('sequence numbers go on with 0 after 2147483647', () => {
    const partition = new Partition();
    partition.append(producerBatch(of(sequenceMax - 2, 2)));
    expect(partition.send(of(sequenceMax, 3))).toEqual([2]);
    expect(partition.send(of(2))).toEqual([5]);
    expect(partition.send(of(sequenceMax, 3))).toEqual([2]);
    expect(partition.send(of(sequenceMax - 2, 2))).toEqual([0]);
    expect(partition.send(of(4))).toBe('out-of-order-sequence');
  });

  test('batches of several producers in one request, or without a sequence number, are refused', () => {
    const partition = new Partition();
    expect(partition.send(of(0), of(0, 1, 0, 8))).toBe('invalid-producer-fields');
    expect(partition.send(of(0), plain())).toBe('invalid-producer-fields');
    expect(partition.send(plain(), of(0))).toBe('invalid-producer-fields');
    expect(partition.send(of(-1))).toBe('invalid-producer-fields');
    expect(partition.send(of(0, 1, -1))).toBe('invalid-producer-fields');
    expect(partition.endOffset).toBe(0);
  });
});

/** Remembers every record that was ever written and looks through all of it. */
class NaiveState {
  readonly epochs = new Map<number, number>();
  /** By producer: offsets by sequence number of the current epoch. */
  readonly written = new Map<number, number[]>();

  judge({ producerId, epoch, sequence, count }: ProducerBatchFields): string | number {
    const current = this.epochs.get(producerId);
    if (current !== undefined && epoch < current) return 'invalid-producer-epoch';
    const offsets = epoch === current ? (this.written.get(producerId) as number[]) : [];
    if (sequence === offsets.length) return 'new';
    if (sequence + count <= offsets.length) return offsets[sequence] as number;
    return current === undefined ? 'unknown-producer-id' : 'out-of-order-sequence';
  }

  append({ producerId, epoch, count }: ProducerBatchFields, baseOffset: number): void {
    if (this.epochs.get(producerId) !== epoch) this.written.set(producerId, []);
    this.epochs.set(producerId, epoch);
    for (let i = 0; i < count; i++) this.written.get(producerId)?.push(baseOffset + i);
  }
}

const someBatch = fc.record({
  producerId: fc.integer({ min: 1, max: 3 }),
  epoch: fc.integer({ min: 0, max: 2 }),
  sequence: fc.integer({ min: 0, max: 24 }),
  count: fc.integer({ min: 1, max: 4 }),
});
/** Half of them continue what is there, so that the sequences grow. */
const step = fc.record({ fields: someBatch, continues: fc.boolean(), restarts: fc.integer({ max: 20, min: 0 }) });

test('C4: the state says what a list of everything written says, also after restarts from snapshots', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const partition = new Partition();
      const naive = new NaiveState();
      for (const { fields, continues, restarts } of steps) {
        const epoch = continues ? (naive.epochs.get(fields.producerId) ?? 0) : fields.epoch;
        const sequence = continues ? (naive.written.get(fields.producerId)?.length ?? 0) : fields.sequence;
        const asked = { ...fields, epoch, sequence };
        const expected = naive.judge(asked);
        const answer = partition.send(asked);
        if (expected === 'new') {
          expect(answer).toEqual([partition.endOffset - asked.count]);
          naive.append(asked, partition.endOffset - asked.count);
        } else if (typeof expected === 'number') {
          // A duplicate may be older than what is remembered, or be cut otherwise than it was written.
          expect([expected, -1]).toContain((answer as readonly number[])[0]);
        } else {
          expect(answer).toBe(expected);
        }
        if (restarts === 0) {
          const before = [...partition.state.entries()];
          partition.state.load(decodeProducerSnapshot(encodeProducerSnapshot(before)) ?? []);
          expect([...partition.state.entries()]).toEqual(before);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('row 39: the last five batches of a producer are known by their offsets, whoever writes between them', () => {
  const sizes = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 2 })), { minLength: 1 });
  fc.assert(
    fc.property(sizes, (batches) => {
      const partition = new Partition();
      const written: { fields: ProducerBatchFields; offset: number }[] = [];
      let sequence = 0;
      for (const [count, others] of batches) {
        const fields = of(sequence, count);
        written.push({ fields, offset: (partition.send(fields) as number[])[0] as number });
        sequence += count;
        for (let i = 0; i < others; i++) partition.send(plain());
      }
      for (const { fields, offset } of written.slice(-5)) expect(partition.send(fields)).toEqual([offset]);
    }),
  );
});
