import { readFileSync } from 'node:fs';
import { ConfigError, parseProperties } from '@naru/config';
import { expect, test } from 'vitest';
import { brokerConfigDefinition, parseBrokerConfig } from './broker-config.ts';
import { formatEndpointUri } from './cluster/endpoint.ts';
import { withoutForeign } from './foreign-settings.ts';

const coordinators = { 'coordinator.connect': 'localhost:2181' };

const common = `
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=kafka-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
`;

test("Kafka 4's own server.properties: the listener of KRaft's controller is left out, each reason is told once", () => {
  const text = `${common}
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
`;
  const config = parseBrokerConfig({ ...parseProperties(text), ...coordinators });
  expect(config.listening.bound.map(formatEndpointUri)).toEqual(['PLAINTEXT://:9092']);
  expect(config.listening.advertised.map(formatEndpointUri)).toEqual(['PLAINTEXT://localhost:9092']);
  expect(config).toMatchObject({ 'broker.id': 1, 'log.dirs': 'kafka-logs', 'offsets.topic.replication.factor': 1 });
  expect(config.remarks).toEqual([
    'without effect: num.network.threads, num.io.threads, num.recovery.threads.per.data.dir (one event loop does the work of these threads)',
    'without effect: socket.send.buffer.bytes, socket.receive.buffer.bytes (the kernel sizes the buffers of connections)',
    'without effect: transaction.state.log.replication.factor, transaction.state.log.min.isr (transactions are not there yet)',
    'without effect: process.roles (this process is a broker; coordinators are processes of their own)',
    'without effect: controller.quorum.bootstrap.servers, controller.listener.names (there is no KRaft; coordinator.connect and session.timeout.ms count)',
    'without effect: share.coordinator.state.topic.replication.factor, share.coordinator.state.topic.min.isr (of groups there are classic and consumer)',
  ]);
});

test("Kafka 3's own server.properties, once the coordinators are named beside ZooKeeper", () => {
  const text = `${common}
broker.id=0
zookeeper.connect=localhost:2181
zookeeper.connection.timeout.ms=18000
group.initial.rebalance.delay.ms=0
`;
  const settings = parseProperties(text);
  expect(() => parseBrokerConfig(settings)).toThrow(
    "configuration 'zookeeper.connect' cannot be used: name the coordinators with 'coordinator.connect', as 127.0.0.1:2181; then this key may stay",
  );
  const config = parseBrokerConfig({ ...settings, ...coordinators });
  expect(config).toMatchObject({ 'broker.id': 0, 'group.initial.rebalance.delay.ms': 0 });
  expect(config.remarks.at(-1)).toBe(
    'without effect: zookeeper.connect, zookeeper.connection.timeout.ms (there is no ZooKeeper; coordinator.connect and session.timeout.ms count)',
  );
});

test.each([
  ['controller.quorum.voters', '1@localhost:9093', "name the coordinators with 'coordinator.connect'"],
  ['process.roles', 'controller', "see 'naru coordinator --help'"],
  ['sasl.enabled.mechanisms', 'PLAIN', 'TLS, SASL and access control are not there yet'],
  ['listener.name.internal.ssl.keystore.location', 'x', 'TLS, SASL and access control are not there yet'],
  ['authorizer.class.name', 'org.apache.kafka.metadata.authorizer.StandardAuthorizer', 'access control'],
  ['remote.log.storage.system.enable', 'true', 'tiered storage is not there'],
  ['compression.type', 'zstd', 'batches are stored as the producer compressed them'],
  ['log.message.timestamp.after.max.ms', '3600000', 'no record is refused for its time'],
  ['advertised.host.name', 'b1', "write 'listeners' and 'advertised.listeners'"],
])('%s=%s asks for what is not there, and is refused with the reason', (key, value, reason) => {
  const parse = () => parseBrokerConfig({ 'broker.id': 1, [key]: value });
  expect(parse).toThrow(ConfigError);
  expect(parse).toThrow(`configuration '${key}' cannot be used: `);
  expect(parse).toThrow(reason);
});

test.each([
  ['authorizer.class.name', ''],
  ['zookeeper.connect', ''],
  ['remote.log.storage.system.enable', 'false'],
  ['compression.type', 'producer'],
  ['log.message.timestamp.before.max.ms', '9223372036854775807'],
])('%s=%s asks for nothing', (key, value) => {
  expect(parseBrokerConfig({ 'broker.id': 1, [key]: value }).remarks).toHaveLength(1);
});

test('older names count where the newer ones are not given', () => {
  const older = { 'broker.id': 1, 'log.dir': 'old', 'broker.session.timeout.ms': '9000' };
  expect(parseBrokerConfig(older)).toMatchObject({ 'log.dirs': 'old', 'session.timeout.ms': 9_000, remarks: [] });
  expect(parseBrokerConfig({ ...older, 'log.dirs': 'new' })['log.dirs']).toBe('new');
});

test('a slip is refused with the nearest name', () => {
  expect(() => parseBrokerConfig({ 'broker.id': 1, 'log.retention.hour': 1 })).toThrow(
    "did you mean 'log.retention.hours'?",
  );
});

test('every setting of a broker in Kafka 3.9 and 4.3 works, is left out with a reason or is refused with one', () => {
  const list = readFileSync(new URL('testing/kafka-settings.txt', import.meta.url), 'utf8');
  const keys = list.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const unknown = keys.filter((key) => {
    try {
      const [name = ''] = Object.keys(withoutForeign({ [key]: 'something' }).settings);
      return name !== '' && !brokerConfigDefinition.has(name);
    } catch (error) {
      return !(error instanceof ConfigError);
    }
  });
  expect(keys.length).toBeGreaterThan(400);
  expect(unknown).toEqual([]);
});

test('none of our own settings is taken for a foreign one', () => {
  const own = Object.fromEntries(Object.keys(brokerConfigDefinition.settings).map((key) => [key, 'something']));
  expect(withoutForeign(own)).toEqual({ settings: own, remarks: [] });
});
