import { type ConsumerRecord, type Deserializer, serdeNamed } from '@naru/client';
import { UsageError } from '../flags.ts';
import { type GroupRecordText, groupRecordText } from '../group-record-text.ts';
import { isTrue } from './line-parser.ts';

export type Formatted = readonly (string | Uint8Array)[];
/** What to print for a record. Throws what its deserializers throw. */
export type RecordFormat = (record: ConsumerRecord) => Formatted;

const defaults = {
  'print.timestamp': 'false',
  'print.partition': 'false',
  'print.offset': 'false',
  'print.delivery': 'false',
  'print.epoch': 'false',
  'print.headers': 'false',
  'print.key': 'false',
  'print.value': 'true',
  'key.separator': '\t',
  'line.separator': '\n',
  'headers.separator': ',',
  'null.literal': 'null',
  'key.deserializer': '',
  'value.deserializer': '',
  'headers.deserializer': '',
};
type FormatProperties = typeof defaults;

export const formatPropertyNames = Object.keys(defaults).join(', ');

/** By the last part of their class names, with which Kafka's old and new packages have them. */
const formatters: Readonly<Record<string, (property: FormatProperties) => RecordFormat>> = {
  DefaultMessageFormatter: lineFormat,
  LoggingMessageFormatter: loggingFormat,
  NoOpMessageFormatter: () => () => [],
  OffsetsMessageFormatter: () => groupRecordFormat('offset'),
  GroupMetadataMessageFormatter: () => groupRecordFormat('group'),
};

export const formatterNames = Object.keys(formatters).join(', ');

/** `formatter` is Kafka's class name, whatever package it is in. */
export function recordFormat(given: Readonly<Record<string, string>>, formatter?: string): RecordFormat {
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(defaults, key))
      throw new UsageError(`unknown formatter property '${key}'; there are ${formatPropertyNames}`);
  }
  const name = formatter?.split(/[.$]/).at(-1) ?? 'DefaultMessageFormatter';
  const make = Object.hasOwn(formatters, name) ? formatters[name] : undefined;
  if (make === undefined) {
    throw new UsageError(`unknown formatter '${formatter}'; there are ${formatterNames}`);
  }
  return make({ ...defaults, ...given });
}

/** The order of the fields is that of Kafka's DefaultMessageFormatter. */
function lineFormat(property: FormatProperties): RecordFormat {
  const nullLiteral = property['null.literal'];
  const [keyText, valueText, headerText] = (['key', 'value', 'headers'] as const).map((part) =>
    textOf(part === 'key' ? 'key' : 'value', property[`${part}.deserializer`], `${part}.deserializer`, nullLiteral),
  ) as [TextOf, TextOf, TextOf];
  const all: Readonly<Record<string, (record: ConsumerRecord) => Formatted>> = {
    'print.timestamp': (record) => [`${record.timestampType}:${record.timestamp}`],
    'print.partition': (record) => [`Partition:${record.partition}`],
    'print.offset': (record) => [`Offset:${record.offset}`],
    'print.delivery': () => ['Delivery:NOT_PRESENT'],
    'print.epoch': (record) => [`Epoch:${record.leaderEpoch}`],
    'print.headers': (record) => headersOf(record, property['headers.separator'], headerText),
    'print.key': (record) => [keyText(record, record.key)],
    'print.value': (record) => [valueText(record, record.value)],
  };
  const fields = Object.entries(all)
    .filter(([name]) => isTrue(property[name as keyof FormatProperties]))
    .map(([, field]) => field);
  return (record) => {
    const parts = fields.flatMap((field, i) =>
      i === 0 ? field(record) : [property['key.separator'], ...field(record)],
    );
    return parts.length === 0 ? [] : [...parts, property['line.separator']];
  };
}

type TextOf = (record: ConsumerRecord, bytes: Buffer | null) => string | Uint8Array;

function textOf(part: 'key' | 'value', name: string, setting: string, nullLiteral: string): TextOf {
  if (name === '') return (_, bytes) => bytes ?? nullLiteral;
  const serde = serdeNamed(setting, name) as Deserializer<unknown>;
  return ({ topic, headers }, bytes) =>
    bytes === null ? nullLiteral : shown(serde.deserialize(bytes, { topic, part, headers }));
}

function shown(value: unknown): string | Uint8Array {
  if (value instanceof Uint8Array) return value;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function headersOf(record: ConsumerRecord, separator: string, text: TextOf): Formatted {
  if (record.headers.length === 0) return ['NO_HEADERS'];
  return record.headers.flatMap(([name, value], i) => [`${i === 0 ? '' : separator}${name}:`, text(record, value)]);
}

/** Kafka's LoggingMessageFormatter writes this line to its log. */
function loggingFormat(): RecordFormat {
  return ({ timestampType, timestamp, key, value }) => [
    `${timestampType}:${timestamp}, key:${key ?? 'null'}, value:${value ?? 'null'}\n`,
  ];
}

/** Records of `__consumer_offsets` of one kind, an object each; all others are passed over. Kafka's tool writes one after the other, here each has its line. */
function groupRecordFormat(kind: GroupRecordText['kind']): RecordFormat {
  return (record) => {
    const text = record.key === null ? undefined : groupRecordText(record.key, record.value, { insideMembers: false });
    return text?.kind === kind ? [`${JSON.stringify({ key: text.key, value: text.value })}\n`] : [];
  };
}
