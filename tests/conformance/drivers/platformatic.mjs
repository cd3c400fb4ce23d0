// @platformatic/kafka. It knows only new versions, and topics by id.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { runCommands } from './commands.mjs';

const require = createRequire(`${process.env.CONFORMANCE_MODULES}/`);
const path = require.resolve('@platformatic/kafka');
const { Admin, ConfigResourceTypes, Consumer, MessagesStreamModes, Producer, stringDeserializers, stringSerializers } = await import(pathToFileURL(path).href);

await runCommands(async ({ servers }) => {
  const bootstrapBrokers = servers.split(',');
  const options = { clientId: 'conformance', bootstrapBrokers };
  const admin = new Admin(options);
  return {
    version: () => require(path.replace(/\/dist\/.*/, '/package.json')).version,
    create: ({ topic, partitions, replicas, configs }) =>
      admin
        .createTopics({
          topics: [topic],
          partitions,
          replicas,
          configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
        })
        .then(() => undefined),
    delete: ({ topic }) => admin.deleteTopics({ topics: [topic] }).then(() => undefined),
    addPartitions: ({ topic, count }) =>
      admin.createPartitions({ topics: [{ name: topic, count, assignments: null }], validateOnly: false }).then(() => undefined),
    describeConfig: async ({ topic, name }) => {
      const found = await admin.describeConfigs({
        resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: [name] }],
      });
      return found[0].configs[0].value;
    },
    alterConfig: ({ topic, name, value }) =>
      admin
        .incrementalAlterConfigs({
          resources: [
            {
              resourceType: ConfigResourceTypes.TOPIC,
              resourceName: topic,
              configs: [{ name, configOperation: 0, value }],
            },
          ],
        })
        .then(() => undefined),
    offsets: async ({ topic, partition, at }) => {
      const timestamp = BigInt(at === 'latest' ? -1 : at === 'earliest' ? -2 : at);
      const found = await admin.listOffsets({
        topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }],
      });
      return Number(found[0].partitions[0].offset);
    },
    produce: async ({ topic, acks, codec, idempotent, records }) => {
      const producer = new Producer({ ...options, serializers: stringSerializers });
      const messages = records.map(({ key, value }) => ({ topic, key, value, headers: { h: 'x' } }));
      await producer.send({ messages, acks, compression: codec, idempotent });
      await producer.close();
    },
    consume: () => ({ unsupported: 'it consumes in groups only' }),
    consumeInGroup: async ({ topic, group, count }) => {
      const consumer = new Consumer({ ...options, groupId: group, deserializers: stringDeserializers, maxWaitTime: 500 });
      const mode = MessagesStreamModes.COMMITTED;
      const stream = await consumer.consume({ topics: [topic], mode, fallbackMode: 'earliest', autocommit: 100 });
      const found = [];
      const done = new Promise((resolve) => {
        setTimeout(resolve, 20_000);
        stream.on('data', ({ partition, offset, key, value, headers }) => {
          found.push({ partition, offset: Number(offset), key, value, headers: Object.fromEntries(headers) });
          if (found.length === count) setTimeout(resolve, 500);
        });
      });
      await done;
      await consumer.close(true);
      return found;
    },
    close: () => admin.close(),
  };
});
