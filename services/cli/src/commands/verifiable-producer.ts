import { type Admin, orThrow, TopicExistsError, UnknownTopicOrPartitionError } from '@naru/client';
import type { Command } from '../command.ts';
import { bootstrapFlags, readPropertiesFile, withClient } from '../connection.ts';
import { printEvent } from '../event-line.ts';
import { keyValues, parseFlags, wholeNumber } from '../flags.ts';
import { Throttle } from '../perf/throttle.ts';

const flags = {
  ...bootstrapFlags,
  'broker-list': { kind: 'value', value: 'host:port', doc: 'old name of --bootstrap-server' },
  topic: { kind: 'value', value: 'name', required: true, doc: 'where the records go; created when it is not there' },
  'max-messages': { kind: 'value', value: 'count', default: '-1', doc: 'end after so many records; -1: never' },
  throughput: {
    kind: 'value',
    value: 'records/s',
    default: '-1',
    doc: 'not faster than this; -1: as fast as possible',
  },
  acks: { kind: 'value', value: '0|1|-1', default: '-1', doc: 'acks of the producer' },
  'message-create-time': { kind: 'value', value: 'ms', default: '-1', doc: 'timestamp of the first record; -1: now' },
  'value-prefix': { kind: 'value', value: 'number', doc: 'values become <prefix>.<number>' },
  'repeating-keys': { kind: 'value', value: 'count', doc: 'keys 0 … count−1, again and again' },
  'producer.config': { kind: 'value', value: 'file', doc: 'properties file for the producer' },
  'command-property': { kind: 'list', value: 'key=value', doc: 'a setting of the producer' },
} as const;

/** Brokers do not create topics by being asked for them; Kafka's do, and harnesses for this tool rely on it. */
async function createMissing(admin: Admin, topic: string): Promise<void> {
  const [described] = await admin.describeTopics([topic]);
  if (described === undefined || !('error' in described)) return;
  if (!(described.error instanceof UnknownTopicOrPartitionError)) throw described.error;
  orThrow((await admin.createTopics([{ name: topic }])).filter(({ error }) => !(error instanceof TopicExistsError)));
}

export const command: Command<typeof flags> = {
  name: 'verifiable-producer',
  summary: 'Produces increasing numbers and prints what became of each as JSON.',
  usage: 'kafka-verifiable-producer.sh --bootstrap-server <host:port> --topic <name> [--max-messages <count>] [flags]',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const limit = wholeNumber('max-messages', values['max-messages'], -1);
    const throughput = wholeNumber('throughput', values.throughput, -1);
    const createTime = wholeNumber('message-create-time', values['message-create-time'], -1);
    const keys =
      values['repeating-keys'] === undefined ? 0 : wholeNumber('repeating-keys', values['repeating-keys'], 1);
    const settings = {
      acks: values.acks,
      ...readPropertiesFile(values['producer.config']),
      ...readPropertiesFile(values['command-config']),
      ...keyValues('command-property', values['command-property']),
    };
    return withClient({ ...values, 'command-config': undefined }, { 'client.id': 'producer-1' }, async (client) => {
      await createMissing(client.admin(), values.topic);
      const producer = client.producer(settings);
      const throttle = new Throttle(throughput);
      let [sent, acked, ended] = [0, 0, false];
      const end = (): void => {
        ended = true;
      };
      process.once('SIGINT', end).once('SIGTERM', end);
      const began = performance.now();
      printEvent('startup_complete');
      while (!ended && sent !== limit) {
        const value = values['value-prefix'] === undefined ? String(sent) : `${values['value-prefix']}.${sent}`;
        const key = keys === 0 ? null : String(sent % keys);
        const timestamp = createTime < 0 ? {} : { timestamp: createTime + Math.round(performance.now() - began) };
        sent++;
        const isRoomy = producer.send({ topic: values.topic, key, value, ...timestamp }, (error, metadata) => {
          if (error === null) {
            acked++;
            const { partition, offset } = metadata ?? { partition: -1, offset: -1n };
            printEvent('producer_send_success', { key, value, topic: values.topic, partition, offset: Number(offset) });
          } else {
            const exception = `class ${error.name}`;
            printEvent('producer_send_error', { key, value, topic: values.topic, exception, message: error.message });
          }
        });
        if (!isRoomy) await producer.ready();
        const pause = throttle.afterRecord();
        if (pause !== undefined) await pause;
      }
      await producer.close();
      printEvent('shutdown_complete');
      const seconds = (performance.now() - began) / 1000;
      printEvent('tool_data', { sent, acked, target_throughput: throughput, avg_throughput: acked / seconds });
      return acked === sent ? 0 : 1;
    });
  },
};
