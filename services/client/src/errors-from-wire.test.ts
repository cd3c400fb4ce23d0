import { errorCodes, type KafkaErrorName, kafkaError, kafkaErrors } from '@naru/kafka-protocol';
import { RpcError } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import * as errors from './errors.ts';
import { errorClassOf, errorFromCode, errorFromRpc } from './errors-from-wire.ts';

const failures = kafkaErrors.filter((info) => info.code !== 0);

describe('codes of the wire', () => {
  test.each(failures)('$name ($code): number, retriable and outcome are those of the table', (info) => {
    const error = errorFromCode(info.code, '', { topic: 't', partition: 3, broker: 1 });
    expect(error).toMatchObject({ code: info.code, topic: 't', partition: 3, broker: 1 });
    expect(error.retriable).toBe(info.retriable);
    if (info.outcome === 'indefinite') expect(error.outcome, 'row 55').toBe('indefinite');
    expect(error.message).toContain(info.message);
  });

  test('names that applications look for have a class of their own', () => {
    const classOf = (name: KafkaErrorName) => errorClassOf(kafkaError(errorCodes[name]));
    expect(classOf('TOPIC_ALREADY_EXISTS')).toBe(errors.TopicExistsError);
    expect(classOf('FENCED_MEMBER_EPOCH')).toBe(errors.FencedMemberEpochError);
    expect(classOf('SECURITY_DISABLED')).toBe(errors.ApiError);
  });

  test('what is retriable by its class is retriable by the table, and the other way round', () => {
    for (const info of failures) {
      const error = errorFromCode(info.code, '');
      expect(error instanceof errors.RetriableError, info.name).toBe(info.retriable);
    }
  });

  test('a code from the future is an indefinite error that is not retried', () => {
    expect(errorFromCode(9_999, 'new')).toMatchObject({ code: 9_999, retriable: false, outcome: 'indefinite' });
  });
});

test('every class carries its name', () => {
  for (const [name, value] of Object.entries(errors)) {
    if (name === 'SendManyError') continue;
    const error = new (value as new (message: string, options: object) => Error)('m', { offset: 1n });
    expect(error.name).toBe(name);
  }
});

describe('calls that failed', () => {
  test.each([
    ['unavailable', 'DisconnectError', 'indefinite'],
    ['cancelled', 'DisconnectError', 'indefinite'],
    ['deadline-exceeded', 'TimeoutError', 'indefinite'],
    ['resource-exhausted', 'RecordTooLargeError', 'definite'],
    ['unimplemented', 'UnsupportedVersionError', 'definite'],
    ['internal', 'ApiError', 'indefinite'],
  ] as const)('%s is a %s', (code, name, outcome) => {
    expect(errorFromRpc(new RpcError(code, 'm'))).toMatchObject({ name, outcome });
  });
});
