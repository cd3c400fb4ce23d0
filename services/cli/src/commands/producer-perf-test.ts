import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Command, CommandError } from '../command.ts';
import { bootstrapFlags, describeTopics, readPropertiesFile, withClient } from '../connection.ts';
import { keyValues, parseFlags, UsageError, wholeNumber } from '../flags.ts';
import { ProducerStats } from '../perf/producer-stats.ts';
import { Throttle } from '../perf/throttle.ts';

const flags = {
  ...bootstrapFlags,
  topic: { kind: 'value', value: 'name', required: true, doc: 'where the records go' },
  'num-records': { kind: 'value', value: 'count', required: true, doc: 'how many records' },
  'record-size': { kind: 'value', value: 'bytes', doc: 'size of each record; or --payload-file' },
  'payload-file': { kind: 'value', value: 'file', doc: 'take the records from this file, in random order' },
  'payload-delimiter': { kind: 'value', value: 'text', default: '\\n', doc: 'what separates them there' },
  throughput: {
    kind: 'value',
    value: 'records/s',
    default: '-1',
    doc: 'not faster than this; -1: as fast as possible',
  },
  'producer-props': {
    kind: 'words',
    value: 'key=value',
    doc: 'settings of the producer (bootstrap.servers among them)',
  },
  'command-property': { kind: 'list', value: 'key=value', doc: 'a setting of the producer' },
  'producer.config': { kind: 'value', value: 'file', doc: 'properties file for the producer' },
  'reporting-interval': { kind: 'value', value: 'ms', default: '5000', doc: 'how often a line is printed' },
} as const;

export const command: Command<typeof flags> = {
  name: 'producer-perf-test',
  summary: 'Produces records and prints rate and latency.',
  usage:
    'kafka-producer-perf-test.sh --topic <name> --num-records <count> --record-size <bytes> --throughput <records/s> --producer-props bootstrap.servers=<host:port> [key=value …]',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const count = wholeNumber('num-records', values['num-records'], 1);
    const throughput = wholeNumber('throughput', values.throughput, -1);
    const payload = payloads(values['record-size'], values['payload-file'], values['payload-delimiter']);
    const { 'bootstrap.servers': servers, ...settings } = {
      ...readPropertiesFile(values['producer.config']),
      ...readPropertiesFile(values['command-config']),
      ...keyValues('producer-props', values['producer-props']),
      ...keyValues('command-property', values['command-property']),
    };
    const bootstrap = values['bootstrap-server'] ?? servers;
    return withClient({ 'bootstrap-server': bootstrap }, {}, async (client) => {
      await describeTopics(client.admin(), [values.topic]);
      const producer = client.producer(settings);
      const stats = new ProducerStats(wholeNumber('reporting-interval', values['reporting-interval'], 1));
      const throttle = new Throttle(throughput);
      let failure: Error | undefined;
      let failures = 0;
      for (let i = 0; i < count; i++) {
        const value = payload(i);
        const sentMs = performance.now();
        const isRoomy = producer.send({ topic: values.topic, value }, (error) => {
          if (error === null) {
            stats.record(sentMs, value.length);
          } else {
            failures++;
            failure ??= error;
          }
        });
        if (!isRoomy) await producer.ready();
        const pause = throttle.afterRecord();
        if (pause !== undefined) await pause;
      }
      await producer.flush();
      await producer.close();
      stats.printTotal();
      if (failure !== undefined) throw new CommandError(`${failures} records failed; the first: ${failure.message}`);
      return 0;
    });
  },
};

function payloads(size: string | undefined, file: string | undefined, delimiter: string): (i: number) => Uint8Array {
  if ((size === undefined) === (file === undefined)) throw new UsageError('give --record-size or --payload-file');
  if (size !== undefined) {
    const value = randomBytes(wholeNumber('record-size', size, 0));
    for (let i = 0; i < value.length; i++) value[i] = 65 + ((value[i] as number) % 26);
    return () => value;
  }
  const lines = readFileSync(file as string, 'utf8')
    .split(delimiter.replace(/\\n/g, '\n').replace(/\\t/g, '\t'))
    .filter((line) => line !== '')
    .map((line) => Buffer.from(line));
  if (lines.length === 0) throw new UsageError(`--payload-file ${file} holds no record`);
  return () => lines[Math.floor(Math.random() * lines.length)] as Uint8Array;
}
