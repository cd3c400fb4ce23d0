import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sizeOfVarint, sizeOfVarlong, VarintReader, writeVarint, writeVarlong } from './varint.ts';

/** Values of Kafka's ByteUtilsTest and the encodings they must have. */
const knownVarints: readonly [number, readonly number[]][] = [
  [0, [0x00]],
  [-1, [0x01]],
  [1, [0x02]],
  [63, [0x7e]],
  [-64, [0x7f]],
  [64, [0x80, 0x01]],
  [-65, [0x81, 0x01]],
  [8191, [0xfe, 0x7f]],
  [-8193, [0x81, 0x80, 0x01]],
  [0x7fffffff, [0xfe, 0xff, 0xff, 0xff, 0x0f]],
  [-0x80000000, [0xff, 0xff, 0xff, 0xff, 0x0f]],
];

describe('varint', () => {
  test.each(knownVarints)('%d', (value, encoding) => {
    const bytes = new Uint8Array(5);
    const end = writeVarint(bytes, 0, value);
    expect([...bytes.subarray(0, end)]).toEqual(encoding);
    expect(sizeOfVarint(value)).toBe(encoding.length);
    expect(new VarintReader(Uint8Array.from(encoding)).readVarint()).toBe(value);
  });

  test('round trip of any 32-bit number', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const bytes = new Uint8Array(5);
        const end = writeVarint(bytes, 0, value);
        expect(end).toBe(sizeOfVarint(value));
        const reader = new VarintReader(bytes);
        expect(reader.readVarint()).toBe(value);
        expect(reader.position).toBe(end);
      }),
    );
  });

  test('a sixth byte, or bits beyond 32, are refused', () => {
    const refused = expect.objectContaining({ code: 'corrupt' });
    expect(() => new VarintReader(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 1)).readVarint()).toThrow(refused);
    expect(() => new VarintReader(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x1f)).readVarint()).toThrow(refused);
    expect(() => new VarintReader(Uint8Array.of(0x80, 0x80)).readVarint()).toThrow(refused);
  });
});

describe('varlong', () => {
  test('round trip of any safe integer', () => {
    const extremes = [2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 31, -(2 ** 31), 2 ** 30, -(2 ** 30), 0x3fffffff];
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.constantFrom(...extremes)), (value) => {
        const bytes = new Uint8Array(10);
        const end = writeVarlong(bytes, 0, value);
        expect(end).toBe(sizeOfVarlong(value));
        const reader = new VarintReader(bytes);
        expect(reader.readVarlong()).toBe(value);
        expect(reader.position).toBe(end);
      }),
    );
  });

  test('an eleventh byte, or a value outside the safe integers, is refused', () => {
    const refused = expect.objectContaining({ code: 'corrupt' });
    expect(() => new VarintReader(new Uint8Array(11).fill(0x80)).readVarlong()).toThrow(refused);
    const tooLarge = Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
    expect(() => new VarintReader(tooLarge).readVarlong()).toThrow(refused);
  });
});
