import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Command } from '../command.ts';
import { bootstrapFlags, describeTopics, readPropertiesFile, withClient } from '../connection.ts';
import { lineParser, readerPropertyNames } from '../console/line-parser.ts';
import { type FlagValues, keyValues, parseFlags, UsageError } from '../flags.ts';
import { Progress } from '../progress.ts';

const flags = {
  ...bootstrapFlags,
  'broker-list': { kind: 'value', value: 'host:port', doc: 'old name of --bootstrap-server' },
  topic: { kind: 'value', value: 'name', required: true, doc: 'where the records go' },
  sync: { kind: 'switch', doc: 'send each record only after the one before was acknowledged' },
  'request-required-acks': { kind: 'value', value: '0|1|all', doc: 'acks of the producer' },
  'compression-codec': {
    kind: 'optional',
    value: 'codec',
    doc: 'none, gzip, snappy, lz4 or zstd; gzip without a name',
  },
  'batch-size': { kind: 'value', value: 'bytes', doc: 'batch.size of the producer' },
  timeout: { kind: 'value', value: 'ms', doc: 'linger.ms of the producer' },
  'max-partition-memory-bytes': { kind: 'value', value: 'bytes', doc: 'old name of --batch-size' },
  'metadata-expiry-ms': { kind: 'value', value: 'ms', doc: 'metadata.max.age.ms of the producer' },
  'request-timeout-ms': { kind: 'value', value: 'ms', doc: 'request.timeout.ms of the producer' },
  'max-block-ms': { kind: 'value', value: 'ms', doc: 'max.block.ms of the producer' },
  'max-memory-bytes': { kind: 'value', value: 'bytes', doc: 'buffer.memory of the producer' },
  'message-send-max-retries': { kind: 'value', value: 'count', doc: 'retries of the producer' },
  'retry-backoff-ms': { kind: 'value', value: 'ms', doc: 'retry.backoff.ms of the producer' },
  'line-reader': { kind: 'value', value: 'class', default: 'LineMessageReader', doc: 'there is only this one' },
  'socket-buffer-size': { kind: 'value', value: 'bytes', doc: 'accepted and without effect' },
  file: { kind: 'value', value: 'file', doc: 'read this file instead of standard input' },
  property: {
    kind: 'list',
    value: 'key=value',
    doc: readerPropertyNames,
  },
  'reader-config': { kind: 'value', value: 'file', doc: 'properties file for the reader' },
  'reader-property': { kind: 'list', value: 'key=value', doc: 'the same as --property' },
  'producer-property': { kind: 'list', value: 'key=value', doc: 'any setting of the producer' },
  'command-property': { kind: 'list', value: 'key=value', doc: 'the same as --producer-property' },
  'producer.config': { kind: 'value', value: 'file', doc: 'properties file for the producer' },
} as const;

type Values = FlagValues<typeof flags>;

export const command: Command<typeof flags> = {
  name: 'console-producer',
  summary: 'Sends each line of standard input as one record. Ends with status 1 when a line was not acknowledged.',
  usage: 'kafka-console-producer.sh --bootstrap-server <host:port> --topic <name> [flags] < FILE',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const reader = values['line-reader'];
    if (reader.split('.').at(-1) !== 'LineMessageReader') {
      throw new UsageError(`unknown reader '${reader}'; there is LineMessageReader`);
    }
    const properties = {
      ...readPropertiesFile(values['reader-config']),
      ...keyValues('property', values.property),
      ...keyValues('reader-property', values['reader-property']),
    };
    const parse = lineParser(properties, values.topic);
    return withClient(
      { ...values, 'command-config': undefined },
      { 'client.id': 'console-producer' },
      async (client) => {
        await describeTopics(client.admin(), [values.topic]);
        const producer = client.producer(producerSettings(values));
        const report = new Outcome(values.topic);
        const input = values.file === undefined ? process.stdin : createReadStream(values.file);
        const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
        const prompt = values.file === undefined && process.stdin.isTTY ? () => process.stdout.write('>') : () => {};
        prompt();
        // What was read is sent all the same. A second one ends it at once.
        const end = (): void => {
          lines.close();
          input.destroy();
        };
        process.once('SIGINT', end).once('SIGTERM', end);
        try {
          for await (const line of lines) {
            if (!producer.send(parse(line), report.settled)) await producer.ready();
            if (values.sync) await producer.flush();
            prompt();
          }
          await producer.flush();
        } finally {
          await producer.close();
        }
        return report.close();
      },
    );
  },
};

const failuresShownMax = 10;

/** Counts what was acknowledged and tells each failure once. */
class Outcome {
  readonly #topic: string;
  readonly #progress = new Progress('records acknowledged');
  #failed = 0;

  constructor(topic: string) {
    this.#topic = topic;
  }

  readonly settled = (error: Error | null): void => {
    if (error === null) {
      this.#progress.add(1);
      return;
    }
    this.#failed++;
    if (this.#failed > failuresShownMax) return;
    process.stderr.write(`Error when sending message to topic ${this.#topic}: ${error.message}\n`);
  };

  close(): number {
    this.#progress.close();
    if (this.#failed > 0)
      process.stderr.write(`${this.#failed} records were not acknowledged, ${this.#progress.count} were\n`);
    return this.#failed === 0 ? 0 : 1;
  }
}

/** What a flag says counts more than a property, and a property more than a file. */
function producerSettings(values: Values): Record<string, string> {
  const codec = values['compression-codec'];
  const own: Record<string, string | undefined> = {
    acks: values['request-required-acks'],
    'compression.type': codec === '' ? 'gzip' : codec,
    'batch.size': values['max-partition-memory-bytes'] ?? values['batch-size'],
    'linger.ms': values.timeout,
    'request.timeout.ms': values['request-timeout-ms'],
    'metadata.max.age.ms': values['metadata-expiry-ms'],
    'max.block.ms': values['max-block-ms'],
    'buffer.memory': values['max-memory-bytes'],
    retries: values['message-send-max-retries'],
    'retry.backoff.ms': values['retry-backoff-ms'],
  };
  return {
    ...readPropertiesFile(values['producer.config']),
    ...readPropertiesFile(values['command-config']),
    ...keyValues('producer-property', values['producer-property']),
    ...keyValues('command-property', values['command-property']),
    ...Object.fromEntries(Object.entries(own).filter((entry): entry is [string, string] => entry[1] !== undefined)),
  };
}
