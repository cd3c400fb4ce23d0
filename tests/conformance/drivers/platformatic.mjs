// @platformatic/kafka. It knows only new versions, and topics by id.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { patienceMs, runCommands, until } from './commands.mjs';

const require = createRequire(`${process.env.CONFORMANCE_MODULES}/`);
const path = require.resolve('@platformatic/kafka');
const { Admin, ConfigResourceTypes, Consumer, MessagesStreamModes, Producer, stringDeserializers, stringSerializers } = await import(pathToFileURL(path).href);

await runCommands(async ({ servers }) => {
  const bootstrapBrokers = servers.split(',');
  const options = { clientId: 'conformance', bootstrapBrokers };
  const admin = new Admin(options);

  async function member(topic, group, { protocol, static: isStatic }, instance) {
    const classic = { sessionTimeout: 10_000, heartbeatInterval: 300, rebalanceTimeout: 10_000 };
    const groupOptions = protocol === 'consumer' ? { groupProtocol: 'consumer' } : classic;
    const consumer = new Consumer({
      ...options,
      ...groupOptions,
      ...(isStatic ? { groupInstanceId: instance } : {}),
      groupId: group,
      maxWaitTime: 200,
    });
    const stream = await consumer.consume({ topics: [topic], mode: MessagesStreamModes.COMMITTED, fallbackMode: 'earliest' });
    stream.on('data', () => {});
    const partitions = () => (consumer.assignments ?? []).flatMap((one) => one.partitions).sort();
    return { partitions, close: () => consumer.close(true) };
  }

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
    seek: async ({ topic, partition, offset }) => {
      const consumer = new Consumer({ ...options, groupId: `seek.${topic}`, maxWaitTime: 200 });
      const offsets = [0, 1, 2, 3].map((one) => ({ topic, partition: one, offset: BigInt(one === partition ? offset : 0) }));
      const stream = await consumer.consume({ topics: [topic], mode: MessagesStreamModes.MANUAL, offsets });
      const found = new Promise((resolve, reject) => {
        setTimeout(() => reject(new Error('nothing was read')), patienceMs);
        stream.on('data', (record) => {
          if (record.partition === partition) resolve(Number(record.offset));
        });
      });
      return found.finally(() => consumer.close(true));
    },
    members: async ({ topic, group, ...how }) => {
      if (how.protocol === 'cooperative') return { unsupported: 'its classic groups rebalance eagerly only' };
      const first = await member(topic, group, how, 'one');
      await until(() => first.partitions().length === 4);
      const alone = first.partitions();
      let second = await member(topic, group, how, 'two');
      await until(() => first.partitions().length === 2 && second.partitions().length === 2);
      const together = [first.partitions(), second.partitions()];
      await second.close();
      if (how.static) {
        // Left out of the group or not: back under its name it has what it had.
        second = await member(topic, group, how, 'two');
        await until(() => first.partitions().length === 2 && second.partitions().length === 2);
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
    brokers: async () => (await admin.metadata({ topics: [] })).brokers.size,
    listGroups: async () => [...(await admin.listGroups()).keys()],
    groupState: async ({ group }) => (await admin.describeGroups({ groups: [group] })).get(group).state,
    groupOffset: async ({ group, topic, partition }) => {
      const [{ topics }] = await admin.listConsumerGroupOffsets({ groups: [group] });
      const { partitions } = topics.find(({ name }) => name === topic);
      return Number(partitions.find(({ partitionIndex }) => partitionIndex === partition).committedOffset);
    },
    setGroupOffset: ({ group, topic, partition, offset }) =>
      admin.alterConsumerGroupOffsets({
        groupId: group,
        topics: [{ name: topic, partitionOffsets: [{ partition, offset: BigInt(offset) }] }],
      }),
    deleteGroup: ({ group }) => admin.deleteGroups({ groups: [group] }).then(() => undefined),
    deleteRecords: async ({ topic, partition, before }) => {
      const topics = [{ name: topic, partitions: [{ partition, offset: BigInt(before) }] }];
      const [{ partitions }] = await admin.deleteRecords({ topics });
      return Number(partitions[0].lowWatermark);
    },
    consumeInGroup: async ({ topic, group, count, protocol: groupProtocol }) => {
      const consumer = new Consumer({ ...options, groupId: group, groupProtocol, deserializers: stringDeserializers, maxWaitTime: 500 });
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
