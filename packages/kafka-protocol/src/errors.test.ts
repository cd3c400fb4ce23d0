import { expect, test } from 'vitest';
import { errorCodes, kafkaError, kafkaErrors } from './errors.ts';

test('every code is given once', () => {
  expect(new Set(kafkaErrors.map((e) => e.code)).size).toBe(kafkaErrors.length);
});

test('a code that may have applied the write is never called definite (row 55)', () => {
  for (const name of [
    'REQUEST_TIMED_OUT',
    'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
    'NETWORK_EXCEPTION',
    'UNKNOWN_SERVER_ERROR',
  ] as const) {
    expect(kafkaError(errorCodes[name]).outcome, name).toBe('indefinite');
  }
  expect(kafkaError(errorCodes.NOT_ENOUGH_REPLICAS).outcome).toBe('definite');
});

test('an unknown code is an unknown, not retriable, indefinite error', () => {
  expect(kafkaError(31_000)).toMatchObject({ name: 'UNKNOWN_SERVER_ERROR', retriable: false, outcome: 'indefinite' });
});
