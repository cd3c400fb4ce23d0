import { crc32c, writeInt32 } from '@naru/record';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeProducerSnapshot, encodeProducerSnapshot } from './producer-snapshot.ts';
import { type ProducerEntry, sequenceMax } from './producer-state.ts';

/** Kafka's ProducerStateManager, version 1, by hand: header, then one producer with one batch of three records. */
const kafkaLayout =
  '0001' + // version
  'CRC' +
  '00000001' + // count
  '00000000000003e8' + // producer id 1000
  '0002' + // epoch
  '0000000b' + // last sequence 11
  '000000000000002a' + // last offset 42
  '00000002' + // offset delta
  '00000000000f4240' + // timestamp
  'ffffffff' + // coordinator epoch
  'ffffffffffffffff'; // first offset of a transaction

test("the bytes are Kafka's producer snapshot, version 1", () => {
  const entry: ProducerEntry = {
    producerId: 1_000,
    epoch: 2,
    lastSequence: 11,
    lastActiveMs: 1_000_000,
    runs: [{ firstSequence: 9, recordsCount: 3, baseOffset: 40 }],
  };
  const [before, after] = kafkaLayout.split('CRC') as [string, string];
  const crc = crc32c(Buffer.from(after, 'hex')).toString(16).padStart(8, '0');
  expect(Buffer.from(encodeProducerSnapshot([entry])).toString('hex')).toBe(before + crc + after);
  expect(decodeProducerSnapshot(Buffer.from(before + crc + after, 'hex'))).toEqual([entry]);
});

const run = fc.record({
  firstSequence: fc.integer({ min: 0, max: sequenceMax }),
  recordsCount: fc.integer({ min: 1, max: 2 ** 27 }),
});
const entry = fc
  .record({
    producerId: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    epoch: fc.integer({ min: 0, max: 32_767 }),
    lastActiveMs: fc.integer({ min: 0, max: 2 ** 45 }),
    runs: fc.array(run, { maxLength: 5 }),
    silentAt: fc.integer({ min: 0, max: sequenceMax }),
  })
  .map(({ runs, silentAt, ...fields }): ProducerEntry => {
    let offset = 0;
    const placed = runs.map((each) => {
      const baseOffset = offset;
      offset += each.recordsCount + 1;
      return { ...each, baseOffset };
    });
    const last = placed.at(-1);
    const lastSequence = last === undefined ? silentAt : (last.firstSequence + last.recordsCount - 1) & sequenceMax;
    return { ...fields, lastSequence, runs: placed };
  });
const entries = fc.uniqueArray(entry, { selector: (each) => each.producerId, maxLength: 8 });

test('what is written is read', () => {
  fc.assert(
    fc.property(entries, (producers) => {
      expect(decodeProducerSnapshot(encodeProducerSnapshot(producers))).toEqual(producers);
    }),
  );
});

test('bytes that are cut anywhere, or have one bit that is wrong, are no snapshot', () => {
  const bytes = encodeProducerSnapshot(
    fc.sample(
      entries.filter((list) => list.length > 2),
      { numRuns: 1, seed: 3 },
    )[0] ?? [],
  );
  for (let length = 0; length < bytes.length; length++) {
    expect(decodeProducerSnapshot(bytes.subarray(0, length)), `${length} bytes`).toBeUndefined();
  }
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(decodeProducerSnapshot(flipped), `bit ${bit}`).toBeUndefined();
  }
});

test('fuzz: any bytes, also with a CRC that is right, give a state that can be or nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (random, isSealed) => {
      const bytes = Buffer.from(random);
      if (isSealed && bytes.length >= 10) {
        bytes.writeInt16BE(1, 0);
        writeInt32(bytes, 6, Math.floor((bytes.length - 10) / 46));
        writeInt32(bytes, 2, crc32c(bytes.subarray(6)));
      }
      const whole = isSealed && bytes.length >= 10 ? bytes.subarray(0, 10 + 46 * bytes.readInt32BE(6)) : bytes;
      if (whole.length < bytes.length) writeInt32(whole, 2, crc32c(whole.subarray(6)));
      for (const producer of decodeProducerSnapshot(whole) ?? []) {
        expect(producer.producerId).toBeGreaterThanOrEqual(0);
        for (const each of producer.runs) expect(each.baseOffset).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns: 2_000 },
  );
});
