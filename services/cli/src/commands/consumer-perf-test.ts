import { type Command, CommandError } from '../command.ts';
import { bootstrapFlags, describeTopics, readPropertiesFile, withClient } from '../connection.ts';
import { keyValues, parseFlags, UsageError, wholeNumber } from '../flags.ts';

const flags = {
  ...bootstrapFlags,
  'broker-list': { kind: 'value', value: 'host:port', doc: 'old name of --bootstrap-server' },
  topic: { kind: 'value', value: 'name', required: true, doc: 'the topic to read' },
  'num-records': { kind: 'value', value: 'count', doc: 'how many records (required)' },
  messages: { kind: 'value', value: 'count', doc: 'old name of --num-records' },
  group: { kind: 'value', value: 'id', doc: 'join this group instead of reading all partitions' },
  'fetch-size': { kind: 'value', value: 'bytes', default: '1048576', doc: 'max.partition.fetch.bytes of the consumer' },
  'socket-buffer-size': { kind: 'value', value: 'bytes', doc: 'accepted and without effect' },
  'from-latest': { kind: 'switch', doc: 'begin with the latest record instead of the earliest' },
  timeout: { kind: 'value', value: 'ms', default: '10000', doc: 'give up when no record came for so long' },
  'reporting-interval': {
    kind: 'value',
    value: 'ms',
    default: '5000',
    doc: 'with --show-detailed-stats: how often a line is printed',
  },
  'show-detailed-stats': { kind: 'switch', doc: 'a line at every interval' },
  'hide-header': { kind: 'switch', doc: 'no header line' },
  'consumer.config': { kind: 'value', value: 'file', doc: 'properties file for the consumer' },
  'command-property': { kind: 'list', value: 'key=value', doc: 'a setting of the consumer' },
} as const;

const columns =
  'start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec';

export const command: Command<typeof flags> = {
  name: 'consumer-perf-test',
  summary: 'Consumes records and prints the rate.',
  usage: 'kafka-consumer-perf-test.sh --bootstrap-server <host:port> --topic <name> --num-records <count>',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const wanted = values['num-records'] ?? values.messages;
    if (wanted === undefined) throw new UsageError('missing required flag --num-records');
    const max = wholeNumber('num-records', wanted, 1);
    const timeoutMs = wholeNumber('timeout', values.timeout, 1);
    const intervalMs = wholeNumber('reporting-interval', values['reporting-interval'], 1);
    const settings = {
      'auto.offset.reset': values['from-latest'] ? 'latest' : 'earliest',
      'max.partition.fetch.bytes': values['fetch-size'],
      ...readPropertiesFile(values['consumer.config']),
      ...readPropertiesFile(values['command-config']),
      ...keyValues('command-property', values['command-property']),
      ...(values.group === undefined ? {} : { 'group.id': values.group }),
    };
    return withClient({ ...values, 'command-config': undefined }, {}, async (client) => {
      const [topic] = await describeTopics(client.admin(), [values.topic]);
      const consumer = client.consumer(settings);
      if (!values['hide-header']) process.stdout.write(`${columns}\n`);
      const total = new Interval();
      let window = new Interval();
      if (values.group === undefined) {
        consumer.assign((topic?.partitions ?? []).map(({ partition }) => ({ topic: values.topic, partition })));
      } else {
        // Whatever passes before there is something to read.
        consumer.subscribe([values.topic], { onPartitionsAssigned: () => total.joined() });
      }
      let quietSince = performance.now();
      while (total.records < max && performance.now() - quietSince < timeoutMs) {
        const records = await consumer.poll(Math.min(100, timeoutMs));
        if (records.length > 0) quietSince = performance.now();
        let bytes = 0;
        for (const record of records) bytes += (record.key?.length ?? 0) + (record.value?.length ?? 0);
        total.add(records.length, bytes);
        window.add(records.length, bytes);
        if (values['show-detailed-stats'] && window.elapsedMs >= intervalMs) {
          process.stdout.write(`${window.text()}\n`);
          window = new Interval();
        }
      }
      if (values.group !== undefined) await consumer.commitSync();
      await consumer.close();
      process.stdout.write(`${total.text()}\n`);
      if (total.records < max)
        throw new CommandError(
          `WARNING: Exiting before consuming the expected number of records: ${total.records} of ${max} came before the timeout (${timeoutMs} ms)`,
        );
      return 0;
    });
  },
};

class Interval {
  readonly #began = performance.now();
  readonly #beganAt = new Date();
  records = 0;
  #bytes = 0;
  #joiningMs = 0;

  joined(): void {
    if (this.records === 0) this.#joiningMs = this.elapsedMs;
  }

  add(records: number, bytes: number): void {
    this.records += records;
    this.#bytes += bytes;
  }

  get elapsedMs(): number {
    return performance.now() - this.#began;
  }

  text(): string {
    const elapsedMs = this.elapsedMs;
    const fetchMs = elapsedMs - this.#joiningMs;
    const megabytes = this.#bytes / 1_048_576;
    const perSecond = (amount: number, ms = elapsedMs) => ((amount / ms) * 1000).toFixed(4);
    return [
      formatDate(this.#beganAt),
      formatDate(new Date()),
      megabytes.toFixed(4),
      perSecond(megabytes),
      this.records,
      perSecond(this.records),
      Math.round(this.#joiningMs),
      Math.round(fetchMs),
      perSecond(megabytes, fetchMs),
      perSecond(this.records, fetchMs),
    ].join(', ');
  }
}

/** `yyyy-MM-dd HH:mm:ss:SSS`, as Kafka's tool writes it. */
function formatDate(date: Date): string {
  const two = (number: number) => String(number).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}:${String(date.getMilliseconds()).padStart(3, '0')}`;
}
