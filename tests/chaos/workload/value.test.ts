import { expect, test } from 'vitest';
import { decodeValue, encodeValue } from './value.ts';

test('a value says whose it is, in any size', () => {
  for (const size of [0, 20, 100, 5_000]) {
    const value = Buffer.from(encodeValue({ producer: 3, sequence: 1_041 }, size));
    expect(decodeValue(value)).toEqual({ producer: 3, sequence: 1_041 });
    if (size > 20) expect(value.length).toBe(size);
  }
});

test('C3: half a value, a flipped bit and two halves of two values are torn', () => {
  const one = Buffer.from(encodeValue({ producer: 3, sequence: 10 }, 100));
  const other = Buffer.from(encodeValue({ producer: 3, sequence: 11 }, 100));
  expect(decodeValue(one.subarray(0, 60))).toBeUndefined();
  expect(decodeValue(Buffer.concat([one.subarray(0, 50), other.subarray(50)]))).toBeUndefined();
  for (let at = 0; at < one.length; at++) {
    const flipped = Buffer.from(one);
    flipped[at] = (flipped[at] as number) ^ 1;
    expect(decodeValue(flipped)).toBeUndefined();
  }
  expect(decodeValue(null)).toBeUndefined();
});
