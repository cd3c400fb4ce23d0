import { describe, expect, test } from 'vitest';
import { decodeResponse, encodeRequest, encodeResponse, readClientId, readRequestStart } from './api.ts';
import { FrameSplitter } from './frames.ts';
import { limits } from './limits.ts';
import { Message } from './message.ts';
import { apis } from './messages/index.ts';
import { Reader } from './reader.ts';
import { array, bytes, int32, string, structs } from './schema.ts';
import { parseVersions } from './versions.ts';
import { bytesOf, Writer } from './writer.ts';

const refusal = (code: string) => expect.objectContaining({ name: 'ProtocolError', code });

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('bytes as Kafka writes them', () => {
  test('ApiVersions v0 request: header v1 with a null client id, no body', () => {
    const frame = Buffer.concat(encodeRequest(apis.apiVersions, 0, 7, null, {}));
    expect(frame.toString('hex')).toBe('0000000a' + '0012' + '0000' + '00000007' + 'ffff');
  });

  test('ApiVersions v3: compact strings and empty tag buffers, but a response header of version 0', () => {
    const request = { clientSoftwareName: 'kcat', clientSoftwareVersion: '1' };
    const frame = Buffer.concat(encodeRequest(apis.apiVersions, 3, 1, 'c', request));
    expect(frame.toString('hex')).toBe(
      '00000014' + '0012000300000001' + '000163' + '00' + '056b636174' + '0231' + '00',
    );
    const response = { errorCode: 0, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] };
    const answer = Buffer.concat(encodeResponse(apis.apiVersions, 3, 1, response));
    expect(answer.toString('hex')).toBe(
      '00000013' + '00000001' + '0000' + '02' + '001200000004' + '00' + '00000000' + '00',
    );
  });

  test('Metadata v1 as kafka-python 2 sends it: all topics is null, in version 0 it is empty', () => {
    const body = (version: number, hex: string) =>
      apis.metadata.request.decode(new Reader(Buffer.from(hex, 'hex')), version);
    expect(body(1, 'ffffffff').topics).toBeNull();
    expect(body(0, '00000000').topics).toEqual([]);
    expect(body(1, '000000010001' + '74')).toMatchObject({ topics: [{ name: 't' }], allowAutoTopicCreation: true });
  });

  test('tagged fields: written when they are not their default, skipped when unknown, in ascending order', () => {
    const tagged = new Message({ a: int32({ tag: 1, default: 5 }), b: string({ tag: 4 }) }, parseVersions('0+'));
    const hexOf = (value: { a?: number; b: string }) => {
      const writer = new Writer();
      tagged.encode(writer, 0, value);
      return Buffer.concat(writer.finish()).toString('hex');
    };
    expect(hexOf({ a: 5, b: '' })).toBe('00');
    expect(hexOf({ a: 6, b: 'x' })).toBe('02' + '010400000006' + '04020278');
    const read = (hex: string) => tagged.decode(new Reader(Buffer.from(hex, 'hex')), 0);
    expect(read('02' + '0202abcd' + '04020278')).toEqual({ a: 5, b: 'x' });
    expect(thrown(() => read('02' + '04020278' + '010400000006'))).toEqual(refusal('malformed'));
    expect(thrown(() => read('01' + '010500000006aa'))).toEqual(refusal('malformed'));
  });

  test('int64 beyond 32 bits and below zero', () => {
    const writer = new Writer();
    for (const value of [0, -1, 2 ** 40 + 3, -(2 ** 40), Number.MAX_SAFE_INTEGER]) writer.int64(value);
    const reader = new Reader(Buffer.concat(writer.finish()));
    expect(Array.from({ length: 5 }, () => reader.int64())).toEqual([
      0,
      -1,
      2 ** 40 + 3,
      -(2 ** 40),
      Number.MAX_SAFE_INTEGER,
    ]);
  });
});

describe('what a few bytes may ask for', () => {
  const list = new Message(
    { numbers: array(int32()), blobs: structs({ blob: bytes({ nullable: '0+' }) }) },
    parseVersions('1+'),
  );
  const read = (version: number, hex: string) =>
    thrown(() => list.decode(new Reader(Buffer.from(hex, 'hex')), version));

  test('KAFKA-14063: a count is believed only when so many elements can follow', () => {
    expect(read(0, '7fffffff00000001')).toEqual(refusal('truncated'));
    expect(read(1, 'ffffffff0f00000001')).toEqual(refusal('truncated'));
    expect(read(0, 'fffffffe')).toEqual(refusal('malformed'));
    expect(read(0, 'ffffffff')).toEqual(refusal('malformed'));
  });

  test('a length is believed only when so many bytes are there', () => {
    expect(read(0, '00000000' + '00000001' + '7fffffff' + '00')).toEqual(refusal('truncated'));
    expect(read(0, '00000000' + '00000001' + 'fffffffe' + '00')).toEqual(refusal('malformed'));
  });

  test('varints of more than 32 bits are refused', () => {
    expect(read(1, 'ffffffffffff01')).toEqual(refusal('malformed'));
    expect(read(1, 'ffffffff7f')).toEqual(refusal('malformed'));
  });

  test('elements of all arrays together are limited', () => {
    const count = limits.elementsMax + 1;
    const writer = new Writer();
    writer.int32(count);
    for (let i = 0; i < count; i++) writer.int32(i);
    const whole = Buffer.concat(writer.finish());
    expect(thrown(() => list.decode(new Reader(whole), 0))).toEqual(refusal('too-large'));
  });

  test('too many tagged fields, too long strings', () => {
    const flexible = new Message({ text: string() }, parseVersions('0+'));
    expect(thrown(() => flexible.decode(new Reader(Buffer.from('01ff7f', 'hex')), 0))).toEqual(refusal('too-large'));
    const long = Buffer.concat([Buffer.from([0x81, 0x80, 0x04]), Buffer.alloc(70_000)]);
    expect(thrown(() => flexible.decode(new Reader(long), 0))).toEqual(refusal('too-large'));
    expect(thrown(() => flexible.encode(new Writer(), 0, { text: 'x'.repeat(40_000) }))).toEqual(refusal('too-large'));
  });
});

describe('headers', () => {
  test('the client id is never compact; unknown tagged fields of the header are skipped', () => {
    const reader = new Reader(Buffer.from('00010010' + '0000002a' + '000161' + '01' + '0502beef' + 'aa', 'hex'));
    expect(readRequestStart(reader)).toEqual({ apiKey: 1, apiVersion: 16, correlationId: 42 });
    expect(readClientId(reader, true)).toBe('a');
    expect(reader.remaining).toBe(1);
  });

  test('responses are read as they were written', () => {
    const topics = [{ name: 't', partitions: [{ partitionIndex: 1, errorCode: 0, timestamp: 5, offset: 9 }] }];
    for (const version of [1, 7]) {
      const frame = Buffer.concat(encodeResponse(apis.listOffsets, version, 3, { topics })).subarray(4);
      const { correlationId, response } = decodeResponse(apis.listOffsets, version, frame);
      expect(correlationId).toBe(3);
      expect(response.topics[0]?.partitions[0]).toMatchObject({ partitionIndex: 1, offset: 9, leaderEpoch: -1 });
    }
  });
});

describe('record bytes', () => {
  test('are views when they are read and chunks when they are written', () => {
    const batch = Buffer.alloc(5_000, 1);
    const frame = Buffer.concat(
      encodeRequest(apis.produce, 9, 1, null, {
        acks: -1,
        timeoutMs: 1,
        topics: [{ name: 't', partitions: [{ index: 0, records: batch }] }],
      }),
    );
    const reader = new Reader(frame, 4);
    readRequestStart(reader);
    readClientId(reader, true);
    const request = apis.produce.request.decode(reader, 9);
    expect(request.topics[0]?.partitions[0]?.records?.buffer).toBe(frame.buffer);
    const partition = { partition: 0, errorCode: 0, highWatermark: 1, records: batch };
    const chunks = encodeResponse(apis.fetch, 11, 1, { topics: [{ topic: 't', partitions: [partition] }] });
    expect(chunks).toContain(batch);
  });
});

describe('frames', () => {
  const frame = (content: string) => Buffer.concat([Buffer.from([0, 0, 0, content.length]), Buffer.from(content)]);

  test('come out whole however the bytes arrive', () => {
    const stream = Buffer.concat([frame('first'), frame(''), frame('third')]);
    for (const step of [1, 2, 3, 5, 7, stream.length]) {
      const splitter = new FrameSplitter(100);
      const found: string[] = [];
      for (let at = 0; at < stream.length; at += step) {
        splitter.push(stream.subarray(at, at + step));
        for (let next = splitter.next(); next !== undefined; next = splitter.next())
          found.push(Buffer.from(next).toString());
      }
      expect(found).toEqual(['first', '', 'third']);
      expect(splitter.heldBytes).toBe(0);
    }
  });

  test('too long and negative ones are refused as soon as the length is there', () => {
    const refused = (hex: string) => {
      const splitter = new FrameSplitter(100);
      splitter.push(Buffer.from(hex, 'hex'));
      return thrown(() => splitter.next());
    };
    expect(refused('00000065')).toEqual(refusal('too-large'));
    expect(refused('ffffffff')).toEqual(refusal('malformed'));
    expect(refused(Buffer.from('GET / HTTP/1.1').toString('hex'))).toEqual(refusal('too-large'));
  });
});

test('bytesOf: each result has memory of its own, and what failed leaves nothing behind', () => {
  const one = bytesOf((writer) => writer.int32(1));
  const failing = (): Uint8Array =>
    bytesOf((writer) => {
      writer.int32(-1);
      throw new Error('no');
    });
  expect(failing).toThrow('no');
  const two = bytesOf((writer) => {
    writer.int16(2);
    writer.raw(new Uint8Array(5_000));
  });
  one.fill(9);
  expect(two).toEqual(Buffer.concat([Uint8Array.of(0, 2), new Uint8Array(5_000)]));
});
