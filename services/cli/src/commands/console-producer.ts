import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { ProducerRecord } from '@naru/client';
import { type Command, CommandError } from '../command.ts';
import { bootstrapFlags, describeTopics, readPropertiesFile, withClient } from '../connection.ts';
import { type FlagValues, keyValues, parseFlags, UsageError } from '../flags.ts';
import { Progress } from '../progress.ts';

const flags = {
  ...bootstrapFlags,
  'broker-list': { kind: 'value', value: 'host:port', doc: 'old name of --bootstrap-server' },
  topic: { kind: 'value', value: 'name', required: true, doc: 'where the records go' },
  sync: { kind: 'switch', doc: 'send each record only after the one before was acknowledged' },
  'request-required-acks': { kind: 'value', value: '0|1|all', default: 'all', doc: 'acks of the producer' },
  'compression-codec': { kind: 'value', value: 'codec', doc: 'none, gzip, snappy, lz4 or zstd' },
  'batch-size': { kind: 'value', value: 'bytes', doc: 'batch.size of the producer' },
  timeout: { kind: 'value', value: 'ms', doc: 'linger.ms of the producer' },
  'request-timeout-ms': { kind: 'value', value: 'ms', doc: 'request.timeout.ms of the producer' },
  'max-block-ms': { kind: 'value', value: 'ms', doc: 'max.block.ms of the producer' },
  'max-memory-bytes': { kind: 'value', value: 'bytes', doc: 'buffer.memory of the producer' },
  'message-send-max-retries': { kind: 'value', value: 'count', doc: 'retries of the producer' },
  'retry-backoff-ms': { kind: 'value', value: 'ms', doc: 'retry.backoff.ms of the producer' },
  file: { kind: 'value', value: 'file', doc: 'read this file instead of standard input' },
  property: {
    kind: 'list',
    value: 'key=value',
    doc: 'parse.key, key.separator, parse.headers, headers.delimiter, headers.separator, headers.key.separator, null.marker, ignore.error',
  },
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
    const parse = lineParser(
      { ...keyValues('property', values.property), ...keyValues('reader-property', values['reader-property']) },
      values.topic,
    );
    return withClient({ ...values, 'command-config': undefined }, {}, async (client) => {
      await describeTopics(client.admin(), [values.topic]);
      const producer = client.producer(producerSettings(values));
      const report = new Outcome(values.topic);
      const input = values.file === undefined ? process.stdin : createReadStream(values.file);
      const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
      const prompt = values.file === undefined && process.stdin.isTTY ? () => process.stdout.write('>') : () => {};
      prompt();
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
    });
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

function producerSettings(values: Values): Record<string, string> {
  const own: Record<string, string | undefined> = {
    acks: values['request-required-acks'],
    'compression.type': values['compression-codec'],
    'batch.size': values['batch-size'],
    'linger.ms': values.timeout,
    'request.timeout.ms': values['request-timeout-ms'],
    'max.block.ms': values['max-block-ms'],
    'buffer.memory': values['max-memory-bytes'],
    retries: values['message-send-max-retries'],
    'retry.backoff.ms': values['retry-backoff-ms'],
  };
  return {
    ...Object.fromEntries(Object.entries(own).filter((entry): entry is [string, string] => entry[1] !== undefined)),
    ...readPropertiesFile(values['producer.config']),
    ...readPropertiesFile(values['command-config']),
    ...keyValues('producer-property', values['producer-property']),
    ...keyValues('command-property', values['command-property']),
  };
}

const readerProperties = {
  'parse.key': 'false',
  'key.separator': '\t',
  'parse.headers': 'false',
  'headers.delimiter': '\t',
  'headers.separator': ',',
  'headers.key.separator': ':',
  'ignore.error': 'false',
  'null.marker': '',
};

/** A line as a record: `headers<delimiter>key<separator>value`, as far as the properties ask for it (Kafka's LineMessageReader). */
export function lineParser(given: Readonly<Record<string, string>>, topic: string): (line: string) => ProducerRecord {
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(readerProperties, key))
      throw new UsageError(`unknown reader property '${key}'; there are ${Object.keys(readerProperties).join(', ')}`);
  }
  const property = { ...readerProperties, ...given };
  const withHeaders = property['parse.headers'] === 'true';
  const withKey = property['parse.key'] === 'true';
  const lenient = property['ignore.error'] === 'true';
  const nullMarker = property['null.marker'];
  const orNull = (text: string) => (nullMarker !== '' && text === nullMarker ? null : text);
  let number = 0;
  const cut = (rest: string, delimiter: string, what: string): [string | undefined, string] => {
    const at = rest.indexOf(delimiter);
    if (at >= 0) return [rest.slice(0, at), rest.slice(at + delimiter.length)];
    if (lenient) return [undefined, rest];
    throw new CommandError(`No ${what} found on line number ${number}: '${rest}'`);
  };
  return (line) => {
    number++;
    let rest = line;
    let headerText: string | undefined;
    let key: string | undefined;
    if (withHeaders) [headerText, rest] = cut(rest, property['headers.delimiter'], 'header delimiter');
    if (withKey) [key, rest] = cut(rest, property['key.separator'], 'key separator');
    const headers =
      headerText === undefined || headerText === nullMarker ? [] : headerText.split(property['headers.separator']);
    return {
      topic,
      value: orNull(rest),
      ...(key === undefined ? {} : { key: orNull(key) }),
      ...(headers.length === 0
        ? {}
        : {
            headers: headers.map((header): [string, string | null] => {
              const [name, value] = cut(header, property['headers.key.separator'], 'header key separator');
              return name === undefined ? [value, null] : [name, orNull(value)];
            }),
          }),
    };
  };
}
