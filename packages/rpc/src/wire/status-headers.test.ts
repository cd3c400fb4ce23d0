import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RpcError } from '../status.ts';
import { percentDecode, percentEncode, statusHeaders, statusOf, timeoutHeader, timeoutOf } from './status-headers.ts';

test('a status message survives percent-encoding, and is printable ASCII on the way', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), (text) => {
      const encoded = percentEncode(text);
      expect(encoded).toMatch(/^[\x20-\x7e]*$/);
      expect(percentDecode(encoded)).toBe(Buffer.from(text).toString());
    }),
  );
  expect(percentDecode('100% sure %zz %4')).toBe('100% sure %zz %4');
});

test('an unknown status number is "unknown"; 0 is success', () => {
  expect(statusOf({ 'grpc-status': '99' })?.code).toBe('unknown');
  expect(statusOf({ 'grpc-status': 'x' })?.code).toBe('unknown');
  expect(statusOf(statusHeaders(undefined))).toBeUndefined();
  expect(statusOf(statusHeaders(new RpcError('data-loss', 'ü')))).toMatchObject({ code: 'data-loss', message: 'ü' });
});

test('deadlines: eight digits and a unit', () => {
  expect([timeoutOf('5S'), timeoutOf('100m'), timeoutOf('1H'), timeoutOf('2M'), timeoutOf('1000u')]).toEqual([
    5_000, 100, 3_600_000, 120_000, 1,
  ]);
  expect(timeoutOf(undefined)).toBeUndefined();
  for (const bad of ['', '5', '-1S', '123456789S', '1X', '1.5S']) expect(() => timeoutOf(bad)).toThrow('grpc-timeout');
  expect([timeoutHeader(0.2), timeoutHeader(1_500), timeoutHeader(1e9), timeoutHeader(1e15)]).toEqual([
    '1m',
    '1500m',
    '1000000S',
    '99999999S',
  ]);
});
