import { existsSync, statSync } from 'node:fs';
import { type Command, CommandError } from '../command.ts';
import { dumpOffsetIndex, dumpTimeIndex } from '../dump-log/index-dump.ts';
import { dumpLog, plainText } from '../dump-log/log-dump.ts';
import { offsetsText } from '../dump-log/offsets-decoder.ts';
import { type FlagValues, parseFlags, wholeNumber } from '../flags.ts';

const flags = {
  files: { kind: 'value', value: 'file,…', doc: 'segments (.log) and indexes (.index, .timeindex)', required: true },
  'print-data-log': { kind: 'switch', doc: 'keys and values of the records, too' },
  'offsets-decoder': {
    kind: 'switch',
    doc: 'keys and values are those of __consumer_offsets; implies --print-data-log',
  },
  'deep-iteration': { kind: 'switch', doc: 'a line for each record, not only for each batch' },
  'skip-record-metadata': { kind: 'switch', doc: 'of records, only keys and values' },
  'verify-index-only': { kind: 'switch', doc: 'of indexes, only what does not agree with the log' },
  'index-sanity-check': { kind: 'switch', doc: 'of indexes, only whether they agree with the log' },
  'max-bytes': { kind: 'value', value: 'bytes', default: '2147483647', doc: 'not beyond this position of a segment' },
} as const;

type Values = FlagValues<typeof flags>;

export const command: Command<typeof flags> = {
  name: 'dump-log',
  summary: "Prints what stands in a log's files.",
  usage: 'kafka-dump-log.sh --files <file>[,<file>…] [--deep-iteration] [--print-data-log | --offsets-decoder]',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const files = values.files.split(',').filter((file) => file !== '');
    const missing = files.find((file) => !existsSync(file));
    if (missing !== undefined) throw new CommandError(`${missing} does not exist`);
    for (const file of files) {
      process.stdout.write(`Dumping ${file}\n`);
      for (const line of dump(file, values)) process.stdout.write(`${line}\n`);
    }
    return 0;
  },
};

function* dump(file: string, values: Values): Generator<string> {
  if (file.endsWith('.log')) {
    const plain = values['print-data-log'] ? plainText : undefined;
    const data = values['offsets-decoder'] ? offsetsText : plain;
    yield* dumpLog(file, statSync(file).size, {
      records: values['deep-iteration'] || data !== undefined,
      data,
      recordMetadata: !values['skip-record-metadata'],
      bytesMax: wholeNumber('max-bytes', values['max-bytes'], 0),
    });
  } else if (file.endsWith('.index') || file.endsWith('.timeindex')) yield* dumpIndex(file, values);
  else yield `Ignoring unknown file ${file}`;
}

function* dumpIndex(file: string, values: Values): Generator<string> {
  const isCheck = values['index-sanity-check'];
  const options = { verifyOnly: isCheck || values['verify-index-only'] };
  const lines = [...(file.endsWith('.index') ? dumpOffsetIndex : dumpTimeIndex)(file, options)];
  yield* lines;
  if (isCheck && lines.length === 0) yield `${file} passed sanity check.`;
}
