import zlib from 'node:zlib';
import { BatchBuilder } from '@naru/record';
import { expect, test } from 'vitest';
import { UnsupportedCompressionTypeError } from '../errors.ts';
import type { ConsumerRecord } from './consumer-record.ts';
import { FetchedData } from './fetched-data.ts';
import { PartitionState } from './partition-state.ts';

test('a batch of a codec that this Node does not have is no broken record: the error says so, and the position stays before it', () => {
  const builder = new BatchBuilder({ compression: 'zstd' });
  builder.append(null, Buffer.from('value'), 1, []);
  const state = new PartitionState<Buffer, Buffer>('t', 0);
  state.seek(0);
  const options = { deserializers: { apply: (record: ConsumerRecord) => record }, checkCrcs: true };
  const data = new FetchedData(state, builder.close(), options);
  const read: ConsumerRecord[] = [];
  const { zstdCompressSync } = zlib;
  try {
    Object.assign(zlib, { zstdCompressSync: undefined });
    const outcome = data.read(read, 10);
    expect(outcome).toBeInstanceOf(UnsupportedCompressionTypeError);
    expect(outcome).toMatchObject({ topic: 't', partition: 0, message: expect.stringContaining('Node 22.15') });
    expect([read, state.position]).toEqual([[], 0]);
  } finally {
    Object.assign(zlib, { zstdCompressSync });
  }
  expect([data.read(read, 10), String(read[0]?.value)]).toEqual(['done', 'value']);
});
