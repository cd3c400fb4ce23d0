import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gatherBytesMax, MessageFramer, MessageUnframer } from './message-framing.ts';

const sizes = fc.array(
  fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(gatherBytesMax - 1, gatherBytesMax, 70_000)),
  { maxLength: 12 },
);

function message(size: number): Buffer {
  return Buffer.alloc(size, size & 0xff);
}

describe('gRPC message framing', () => {
  test('messages gathered for one write and cut at any place arrive whole and in order', () => {
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 20 }),
        (all, cuts) => {
          const framer = new MessageFramer();
          for (const size of all)
            framer.add([message(size).subarray(0, size >> 1), message(size).subarray(size >> 1)], size);
          const { bytes } = framer;
          const wire = Buffer.concat(framer.take());
          expect([wire.length, framer.bytes]).toEqual([bytes, 0]);
          const received: Uint8Array[] = [];
          const unframer = new MessageUnframer(100_000, (each) => received.push(each));
          let position = 0;
          for (let index = 0; position < wire.length; index += 1) {
            const length = cuts[index % cuts.length] as number;
            unframer.push(wire.subarray(position, position + length));
            position += length;
          }
          expect(unframer.idle).toBe(true);
          expect(received.map((each) => each.length)).toEqual(all);
          for (const each of received) expect(Buffer.compare(each, message(each.length))).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('byte by byte', () => {
    const framer = new MessageFramer();
    for (const size of [0, 1, 0, 300]) framer.add([message(size)], size);
    const received: number[] = [];
    const unframer = new MessageUnframer(300, (each) => received.push(each.length));
    for (const byte of Buffer.concat(framer.take())) {
      unframer.push(Uint8Array.of(byte));
    }
    expect(received).toEqual([0, 1, 0, 300]);
  });

  test('a large chunk leaves as it is, a whole message is a view of what came', () => {
    const large = message(gatherBytesMax);
    const framer = new MessageFramer();
    framer.add([large], large.length);
    expect(framer.take()[1]).toBe(large);
    const wire = Buffer.concat([Buffer.from([0, 0, 0, 0, 3]), Buffer.from('abc')]);
    new MessageUnframer(10, (each) => expect(each.buffer).toBe(wire.buffer)).push(wire);
  });

  test('a message above the limit or compressed is refused by its prefix alone', () => {
    const unframer = (): MessageUnframer => new MessageUnframer(1_000, () => {});
    expect(() => unframer().push(Buffer.from([0, 0, 0, 3, 0xe9]))).toThrow('1001 bytes');
    expect(() => unframer().push(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]))).toThrow('4294967295 bytes');
    expect(() => unframer().push(Buffer.from([1, 0, 0, 0, 1]))).toThrow('compressed');
  });
});
