// KafkaJS, as its documentation shows it. One list of commands in, one list of results out.
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { patienceMs, runCommands, until } from './commands.mjs';

const require = createRequire(`${process.env.CONFORMANCE_MODULES}/`);
const kafkajs = require('kafkajs');
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs;
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: (encoder) => promisify(zlib.zstdCompress)(encoder.buffer),
  decompress: promisify(zlib.zstdDecompress),
});
const codecs = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  zstd: CompressionTypes.ZSTD,
};

/** It hears of a rebalance, and ends, only between two fetches. */
const prompt = { maxWaitTimeInMs: 200 };

await runCommands(async ({ servers }) => {
  const kafka = new Kafka({ clientId: 'conformance', brokers: servers.split(','), logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();

  async function member(topic, group) {
    const consumer = kafka.consumer({ ...prompt, groupId: group, sessionTimeout: 10_000, heartbeatInterval: 300 });
    const one = { consumer, partitions: [] };
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      one.partitions = payload.memberAssignment[topic] ?? [];
    });
    await consumer.connect();
    await consumer.subscribe({ topic });
    await consumer.run({ eachMessage: async () => {} });
    return one;
  }

  return {
    version: () => require('kafkajs/package.json').version,
    create: ({ topic, partitions, replicas, configs }) =>
      admin.createTopics({
        topics: [
          {
            topic,
            numPartitions: partitions,
            replicationFactor: replicas,
            configEntries: Object.entries(configs).map(([name, value]) => ({ name, value })),
          },
        ],
      }),
    delete: ({ topic }) => admin.deleteTopics({ topics: [topic] }),
    addPartitions: ({ topic, count }) => admin.createPartitions({ topicPartitions: [{ topic, count }] }),
    describeConfig: async ({ topic, name }) => {
      const { resources } = await admin.describeConfigs({
        includeSynonyms: true,
        resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: [name] }],
      });
      return resources[0].configEntries[0].configValue;
    },
    alterConfig: ({ topic, name, value }) =>
      admin.alterConfigs({
        resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] }],
      }),
    offsets: async ({ topic, partition, at }) => {
      const found =
        typeof at === 'number'
          ? await admin.fetchTopicOffsetsByTimestamp(topic, at)
          : await admin.fetchTopicOffsets(topic);
      const one = found.find((entry) => entry.partition === partition);
      return Number(at === 'earliest' ? one.low : one.offset);
    },
    produce: async ({ topic, acks, codec, idempotent, records }) => {
      if (codecs[codec] === undefined) return { unsupported: `${codec} needs another package` };
      const producer = kafka.producer({ idempotent });
      await producer.connect();
      await producer.send({
        topic,
        acks,
        compression: codecs[codec],
        messages: records.map(({ key, value }) => ({ key, value, headers: { h: 'x' } })),
      });
      await producer.disconnect();
    },
    consume: () => ({ unsupported: 'it consumes in groups only' }),
    seek: async ({ topic, partition, offset }) => {
      const consumer = kafka.consumer({ ...prompt, groupId: `seek.${topic}` });
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: true });
      const found = new Promise((resolve, reject) => {
        setTimeout(() => reject(new Error('nothing was read')), patienceMs);
        consumer.run({
          eachMessage: async (record) => {
            if (record.partition === partition) resolve(Number(record.message.offset));
          },
        });
      });
      consumer.seek({ topic, partition, offset: String(offset) });
      return found.finally(() => consumer.disconnect());
    },
    members: async ({ topic, group, protocol, static: isStatic }) => {
      if (protocol !== 'eager') return { unsupported: 'it rebalances eagerly only' };
      if (isStatic) return { unsupported: 'it has no static members' };
      const first = await member(topic, group);
      await until(() => first.partitions.length === 4);
      const alone = first.partitions;
      const second = await member(topic, group);
      await until(() => first.partitions.length === 2 && second.partitions.length === 2);
      const together = [first.partitions, second.partitions];
      await second.consumer.disconnect();
      await until(() => first.partitions.length === 4);
      const left = first.partitions;
      await first.consumer.disconnect();
      return { alone, together, left };
    },
    brokers: async () => (await admin.describeCluster()).brokers.length,
    listGroups: async () => (await admin.listGroups()).groups.map(({ groupId }) => groupId),
    groupState: async ({ group }) => (await admin.describeGroups([group])).groups[0].state,
    groupOffset: async ({ group, topic, partition }) => {
      const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      return Number(partitions.find((one) => one.partition === partition).offset);
    },
    setGroupOffset: async ({ group, topic, partition, offset }) => {
      // Commits -2.
      await admin.resetOffsets({ groupId: group, topic, earliest: true });
      await admin.setOffsets({ groupId: group, topic, partitions: [{ partition, offset: String(offset) }] });
    },
    deleteGroup: async ({ group }) => {
      await admin.deleteGroups([group]);
    },
    deleteRecords: async ({ topic, partition, before }) => {
      // It knows the leaders only of topics that it was asked about before.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] });
      const offsets = await admin.fetchTopicOffsets(topic);
      return Number(offsets.find((one) => one.partition === partition).low);
    },
    consumeInGroup: async ({ topic, group, count, protocol }) => {
      if (protocol !== 'classic') return { unsupported: 'it has the classic protocol only' };
      const consumer = kafka.consumer({ ...prompt, groupId: group });
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: true });
      const found = [];
      const done = new Promise((resolve) => {
        setTimeout(resolve, 20_000);
        consumer.run({
          eachMessage: async ({ partition, message: { offset, key, value, headers } }) => {
            const h = Object.fromEntries(Object.entries(headers).map(([name, content]) => [name, String(content)]));
            found.push({ partition, offset: Number(offset), key: String(key), value: String(value), headers: h });
            if (found.length === count) setTimeout(resolve, 500);
          },
        });
      });
      await done;
      await consumer.disconnect();
      return found;
    },
    close: () => admin.disconnect(),
  };
});
