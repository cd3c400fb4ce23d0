import zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { parseConsumerConfig, parseProducerConfig, parseResetPolicy } from './config.ts';
import { ConfigError } from './errors.ts';

describe('configuration', () => {
  test("defaults are Kafka 4's (KIP-679, KIP-1030)", () => {
    expect(parseProducerConfig({}, {})).toMatchObject({
      acks: 'all',
      'enable.idempotence': true,
      'linger.ms': 5,
      'batch.size': 16_384,
      'buffer.memory': 33_554_432,
      'max.block.ms': 60_000,
      'max.request.size': 1_048_576,
      'delivery.timeout.ms': 120_000,
      'max.in.flight.requests.per.connection': 5,
      'retry.backoff.max.ms': 1_000,
    });
    expect(parseConsumerConfig({}, {})).toMatchObject({
      'auto.offset.reset': 'latest',
      'fetch.max.bytes': 52_428_800,
      'max.partition.fetch.bytes': 1_048_576,
      'max.poll.records': 500,
      'fetch.max.wait.ms': 500,
    });
  });

  test('KIP-679: idempotence is on unless other settings speak against it; who asks for it by name is told', () => {
    const isOn = (input: Parameters<typeof parseProducerConfig>[1]): boolean =>
      parseProducerConfig({}, input)['enable.idempotence'];
    expect([isOn({}), isOn({ acks: '-1' }), isOn({ enableIdempotence: true })]).toEqual([true, true, true]);
    expect([isOn({ acks: '1' }), isOn({ acks: 0 }), isOn({ retries: 0 })]).toEqual([false, false, false]);
    expect(isOn({ enableIdempotence: 'false', maxInFlightRequestsPerConnection: 6 })).toBe(false);
    expect(() => isOn({ enableIdempotence: true, acks: '1' })).toThrow(/acks must be all/);
    expect(() => isOn({ 'enable.idempotence': true, retries: 0 })).toThrow(/retries must not be 0/);
    expect(() => isOn({ maxInFlightRequestsPerConnection: 6 })).toThrow(ConfigError);
    expect(isOn({ enableIdempotence: undefined, acks: '1' })).toBe(false);
  });

  test('a codec that this Node does not have is refused at once, with what to do', () => {
    const { zstdCompressSync } = zlib;
    try {
      Object.assign(zlib, { zstdCompressSync: undefined });
      expect(() => parseProducerConfig({}, { compressionType: 'zstd' })).toThrow(/run Node 22\.15 or later/);
      expect(parseProducerConfig({}, { compressionType: 'lz4' })['compression.type']).toBe('lz4');
    } finally {
      Object.assign(zlib, { zstdCompressSync });
    }
  });

  test('what the producer is given counts more than what the client was given, in either spelling', () => {
    const config = parseProducerConfig({ 'request.timeout.ms': 1, clientId: 'c' }, { requestTimeoutMs: 2 });
    expect([config['request.timeout.ms'], config['client.id']]).toEqual([2, 'c']);
  });

  test('a producer key is no consumer key', () => {
    expect(() => parseConsumerConfig({}, { lingerMs: 5 } as never)).toThrow(ConfigError);
  });
});

describe('auto.offset.reset', () => {
  test.each([
    ['by_duration:PT1H', 3_600_000],
    ['by_duration:P1DT2H3M4.5S', 93_784_500],
    ['by_duration:PT0S', 0],
  ])('%s', (text, durationMs) => {
    expect(parseResetPolicy(text)).toEqual({ kind: 'by-duration', durationMs });
  });

  test.each(['by_duration:', 'by_duration:P', 'by_duration:PT', 'by_duration:1h', 'Latest', ''])(
    '%j is refused',
    (text) => {
      expect(() => parseResetPolicy(text)).toThrow(/auto\.offset\.reset/);
    },
  );
});

test('with group.protocol=consumer the coordinator assigns: what only members could say is refused (KIP-848)', () => {
  const parse = (input: object) => parseConsumerConfig({}, { groupId: 'g', ...input });
  expect(parse({ groupProtocol: 'consumer', groupRemoteAssignor: 'range' })).toMatchObject({
    'group.protocol': 'consumer',
    'group.remote.assignor': 'range',
  });
  expect(() => parse({ groupProtocol: 'consumer', sessionTimeoutMs: 6_000 })).toThrow("'session.timeout.ms' cannot be");
  expect(() => parse({ groupRemoteAssignor: 'range' })).toThrow('needs group.protocol=consumer');
  expect(() => parse({ groupProtocol: 'share' })).toThrow('group.protocol');
});
