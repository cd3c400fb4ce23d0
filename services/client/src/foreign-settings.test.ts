import { expect, test } from 'vitest';
import { Client } from './client.ts';
import { parseConsumerConfig, parseProducerConfig } from './config.ts';
import { ConfigError } from './errors.ts';
import type { ClientLogger } from './logger.ts';

test("a properties file of Kafka's own clients can be used as it is, where it asks for nothing that is not there", () => {
  const file = {
    'client.dns.lookup': 'use_all_dns_ips',
    'connections.max.idle.ms': '540000',
    'security.protocol': 'PLAINTEXT',
    'transactional.id': '',
    'key.serializer': 'org.apache.kafka.common.serialization.StringSerializer',
    'partitioner.class': 'org.apache.kafka.clients.producer.RoundRobinPartitioner',
    'linger.ms': '7',
  };
  expect(parseProducerConfig({}, file)).toMatchObject({ 'linger.ms': 7, 'partitioner.class': 'round-robin' });
  expect(parseConsumerConfig({}, { allowAutoCreateTopics: false } as never)['max.poll.records']).toBe(500);
});

test.each([
  [{ 'sasl.mechanism': 'PLAIN' }, "configuration 'sasl.mechanism' cannot be used: TLS and SASL are not there yet"],
  [{ sslTruststoreLocation: 'x' }, "configuration 'ssl.truststore.location' cannot be used"],
  [{ 'security.protocol': 'SASL_SSL' }, "only 'PLAINTEXT' is"],
  [{ transactionalId: 'a' }, 'transactions are not there yet'],
  [{ 'interceptor.classes': 'x.Y' }, 'node:diagnostics_channel'],
  [{ 'partitioner.class': 'x.Y' }, 'it must be one of default'],
])('what is not there is refused with the reason: %j', (input, message) => {
  expect(() => parseProducerConfig({}, input as never)).toThrow(ConfigError);
  expect(() => parseProducerConfig({}, input as never)).toThrow(message);
});

test('what has no effect is told once, when the client or its part is made', async () => {
  const told: unknown[] = [];
  const silent = (): void => {};
  const logger: ClientLogger = { debug: silent, warn: silent, error: silent, info: (fields) => told.push(fields) };
  const settings = { bootstrapServers: 'localhost:1', 'send.buffer.bytes': 1 };
  const client = new Client({ ...settings, logger });
  client.producer({ metadataMaxIdleMs: 1 } as never);
  await client.close();
  expect(told).toEqual([{ settings: ['send.buffer.bytes'] }, { settings: ['metadata.max.idle.ms'] }]);
});
