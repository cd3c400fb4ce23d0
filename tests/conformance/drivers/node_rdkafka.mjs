// node-rdkafka: librdkafka from Node, built from the source that its package contains.
import { createRequire } from 'node:module';
import { patienceMs, runCommands, until } from './commands.mjs';

const require = createRequire(`${process.env.CONFORMANCE_MODULES}/`);
const rdkafka = require('node-rdkafka');
const cannot = { unsupported: 'its admin client cannot' };

const called = (invoke) =>
  new Promise((resolve, reject) => invoke((error, value) => (error ? reject(error) : resolve(value))));

await runCommands(async ({ servers }) => {
  const base = { 'metadata.broker.list': servers, 'client.id': 'conformance' };
  const admin = rdkafka.AdminClient.create(base);

  async function connected(client) {
    await called((done) => client.connect({ timeout: 10_000 }, done));
    return client;
  }

  const consumerOf = (config) =>
    connected(
      new rdkafka.KafkaConsumer({ ...base, 'enable.auto.commit': false, ...config }, { 'auto.offset.reset': 'earliest' }),
    );

  async function read(consumer, count) {
    const found = [];
    consumer.setDefaultConsumeTimeout(200);
    for (const end = Date.now() + patienceMs; found.length < count && Date.now() < end; ) {
      const messages = await called((done) => consumer.consume(500, done));
      for (const { partition, offset, key, value, headers } of messages) {
        const pairs = (headers ?? []).flatMap(Object.entries).map(([name, content]) => [name, String(content)]);
        found.push({ partition, offset, key: String(key), value: String(value), headers: Object.fromEntries(pairs) });
      }
    }
    return found;
  }

  async function member(topic, group, protocol, instance) {
    const config = {
      'group.id': group,
      'session.timeout.ms': 10_000,
      'partition.assignment.strategy': protocol === 'eager' ? 'range' : 'cooperative-sticky',
      rebalance_cb: true,
      ...(instance === undefined ? {} : { 'group.instance.id': instance }),
    };
    const consumer = await consumerOf(config);
    consumer.subscribe([topic]);
    consumer.consume(() => {});
    const partitions = () => consumer.assignments().map(({ partition }) => partition).sort();
    return { partitions, close: () => called((done) => consumer.disconnect(done)) };
  }

  async function metadata() {
    const producer = await connected(new rdkafka.Producer(base));
    const found = await called((done) => producer.getMetadata({ timeout: 5_000 }, done));
    await called((done) => producer.disconnect(done));
    return found;
  }

  return {
    version: () => `${require('node-rdkafka/package.json').version} (librdkafka ${rdkafka.librdkafkaVersion})`,
    create: ({ topic, partitions, replicas, configs }) =>
      called((done) =>
        admin.createTopic({ topic, num_partitions: partitions, replication_factor: replicas, config: configs }, done),
      ),
    delete: ({ topic }) => called((done) => admin.deleteTopic(topic, 10_000, done)),
    addPartitions: ({ topic, count }) => called((done) => admin.createPartitions(topic, count, 10_000, done)),
    describeConfig: () => cannot,
    alterConfig: () => cannot,
    offsets: async ({ topic, partition, at }) => {
      const consumer = await consumerOf({ 'group.id': 'none' });
      try {
        if (typeof at === 'number') {
          const [found] = await called((done) => consumer.offsetsForTimes([{ topic, partition, offset: at }], 5_000, done));
          return found.offset;
        }
        const ends = await called((done) => consumer.queryWatermarkOffsets(topic, partition, 5_000, done));
        return at === 'latest' ? ends.highOffset : ends.lowOffset;
      } finally {
        await called((done) => consumer.disconnect(done));
      }
    },
    produce: async ({ topic, acks, codec, idempotent, records }) => {
      if (codec === 'zstd') return { unsupported: 'built without libzstd' };
      const config = { ...base, 'compression.codec': codec, 'enable.idempotence': idempotent, dr_cb: true };
      const producer = await connected(
        new rdkafka.Producer({ ...config, 'linger.ms': 5 }, { acks, partitioner: 'murmur2_random' }),
      );
      const failed = [];
      producer.on('delivery-report', (error) => error && failed.push(error.message));
      producer.setPollInterval(20);
      for (const { key, value } of records) {
        producer.produce(topic, null, Buffer.from(value), key, Date.now(), undefined, [{ h: 'x' }]);
      }
      await called((done) => producer.flush(15_000, done));
      await called((done) => producer.disconnect(done));
      if (failed.length > 0) throw new Error(failed[0]);
    },
    consume: async ({ topic, partitions, count }) => {
      const consumer = await consumerOf({ 'group.id': 'none' });
      consumer.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 })));
      try {
        return await read(consumer, count);
      } catch (error) {
        if (error.message.includes('Not implemented')) return { unsupported: 'built without libzstd' };
        throw error;
      } finally {
        await called((done) => consumer.disconnect(done));
      }
    },
    seek: async ({ topic, partition, offset }) => {
      const consumer = await consumerOf({ 'group.id': 'none' });
      consumer.assign([{ topic, partition, offset: 0 }]);
      await read(consumer, 1);
      await called((done) => consumer.seek({ topic, partition, offset }, 5_000, done));
      const [found] = await read(consumer, 1);
      await called((done) => consumer.disconnect(done));
      return found.offset;
    },
    consumeInGroup: async ({ topic, group, count, protocol }) => {
      const consumer = await consumerOf({ 'group.id': group, 'group.protocol': protocol });
      consumer.subscribe([topic]);
      const found = await read(consumer, count);
      consumer.commitSync();
      await called((done) => consumer.disconnect(done));
      return found;
    },
    members: async ({ topic, group, protocol, static: isStatic }) => {
      if (protocol === 'consumer') return { unsupported: 'its rebalance callback is not made for it' };
      const first = await member(topic, group, protocol, isStatic ? 'one' : undefined);
      await until(() => first.partitions().length === 4);
      const alone = first.partitions();
      let second = await member(topic, group, protocol, isStatic ? 'two' : undefined);
      await until(() => first.partitions().length === 2 && second.partitions().length === 2);
      const together = [first.partitions(), second.partitions()];
      await second.close();
      if (isStatic) {
        second = await member(topic, group, protocol, 'two');
        await until(() => second.partitions().length === 2);
        const returned = [first.partitions(), second.partitions()];
        await second.close();
        await first.close();
        return { alone, together, returned };
      }
      await until(() => first.partitions().length === 4);
      const left = first.partitions();
      await first.close();
      return { alone, together, left };
    },
    brokers: async () => (await metadata()).brokers.length,
    listGroups: () => cannot,
    groupState: () => cannot,
    groupOffset: async ({ group, topic, partition }) => {
      const consumer = await consumerOf({ 'group.id': group });
      const [found] = await called((done) => consumer.committed([{ topic, partition }], 5_000, done));
      await called((done) => consumer.disconnect(done));
      return found.offset;
    },
    setGroupOffset: () => cannot,
    deleteGroup: () => cannot,
    deleteRecords: () => cannot,
    close: () => admin.disconnect(),
  };
});
