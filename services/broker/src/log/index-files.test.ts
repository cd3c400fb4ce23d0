import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OffsetIndex, offsetIndexEntryBytes } from './offset-index.ts';
import { TimeIndex, timeIndexEntryBytes } from './time-index.ts';

const steps = fc.array(fc.record({ offset: fc.integer({ min: 1, max: 9 }), step: fc.integer({ min: 1, max: 500 }) }), {
  maxLength: 200,
});

describe('offset index', () => {
  test('L8: finds the last entry at or below an offset, as a linear scan does, also from its file', () => {
    fc.assert(
      fc.property(steps, fc.nat(1e6), fc.nat(2_000), (made, baseOffset, asked) => {
        const entries: { offset: number; position: number }[] = [];
        const index = new OffsetIndex(baseOffset);
        let [offset, position] = [baseOffset, 0];
        for (const { offset: more, step } of made) {
          offset += more;
          position += step;
          index.append(offset, position);
          entries.push({ offset, position });
        }
        const wanted = baseOffset + asked;
        const expected = entries.findLast((entry) => entry.offset <= wanted)?.position ?? 0;
        expect(index.positionFor(wanted)).toBe(expected);
        const decoded = OffsetIndex.decode(baseOffset, index.encode(), position + 1);
        expect(decoded?.positionFor(wanted)).toBe(expected);
        expect(decoded?.last).toEqual(entries.at(-1));
        index.truncateTo(wanted);
        expect(index.last).toEqual(entries.findLast((entry) => entry.offset < wanted));
      }),
    );
  });

  test("has Kafka's layout, and refuses bytes that break its order or leave the segment", () => {
    const index = new OffsetIndex(100);
    index.append(107, 4_200);
    index.append(115, 8_400);
    const bytes = Buffer.from(index.encode());
    expect(bytes.toString('hex')).toBe(['00000007', '00001068', '0000000f', '000020d0'].join(''));
    expect(bytes.length).toBe(2 * offsetIndexEntryBytes);
    expect(OffsetIndex.decode(100, bytes, 8_400)).toBeUndefined();
    expect(OffsetIndex.decode(100, bytes.subarray(0, 12), 9_000)).toBeUndefined();
    expect(OffsetIndex.decode(100, Buffer.concat([bytes, bytes]), 9_000)).toBeUndefined();
    expect(OffsetIndex.decode(100, new Uint8Array(16), 9_000)).toBeUndefined();
  });
});

describe('time index', () => {
  test('L8: every record before the offset that it gives is older than the timestamp', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5_000), { maxLength: 150 }), fc.nat(5_200), (timestamps, wanted) => {
        const index = new TimeIndex(50);
        let largest = { timestampMs: -1, offset: -1 };
        for (const [i, timestampMs] of timestamps.entries()) {
          if (timestampMs > largest.timestampMs) largest = { timestampMs, offset: 50 + i };
          if (i % 3 === 0) index.maybeAppend(largest.timestampMs, largest.offset);
        }
        for (const candidate of [index, TimeIndex.decode(50, index.encode()) as TimeIndex]) {
          const from = candidate.offsetFor(wanted);
          const first = timestamps.findIndex((timestampMs) => timestampMs >= wanted);
          if (first >= 0) expect(from).toBeLessThanOrEqual(50 + first);
          expect(from).toBeGreaterThanOrEqual(50);
        }
      }),
    );
  });

  test("has Kafka's layout, and refuses bytes that break its order", () => {
    const index = new TimeIndex(100);
    index.maybeAppend(1_700_000_000_000, 103);
    index.maybeAppend(1_700_000_000_000, 109);
    index.maybeAppend(1_700_000_000_005, 120);
    const bytes = Buffer.from(index.encode());
    expect(bytes.toString('hex')).toBe('0000018bcfe56800' + '00000003' + '0000018bcfe56805' + '00000014');
    expect(bytes.length).toBe(2 * timeIndexEntryBytes);
    expect(TimeIndex.decode(100, bytes.subarray(0, 13))).toBeUndefined();
    expect(TimeIndex.decode(100, Buffer.concat([bytes, bytes]))).toBeUndefined();
  });
});
