import type { ProducerRecord } from '@naru/client';
import { CommandError } from '../command.ts';
import { UsageError } from '../flags.ts';

const readerProperties = {
  'parse.key': 'false',
  'key.separator': '\t',
  'parse.headers': 'false',
  'headers.delimiter': '\t',
  'headers.separator': ',',
  'headers.key.separator': ':',
  'ignore.error': 'false',
  /** Empty: nothing stands for null. */
  'null.marker': '',
};
type ReaderProperties = typeof readerProperties;

/** Separators that must differ, or a line could be read in two ways. */
const distinct: readonly (readonly [keyof ReaderProperties, keyof ReaderProperties])[] = [
  ['headers.delimiter', 'headers.separator'],
  ['headers.delimiter', 'headers.key.separator'],
  ['headers.separator', 'headers.key.separator'],
  ['null.marker', 'key.separator'],
  ['null.marker', 'headers.separator'],
  ['null.marker', 'headers.delimiter'],
  ['null.marker', 'headers.key.separator'],
];

export const readerPropertyNames = Object.keys(readerProperties).join(', ');

/** A line as a record: `headers<delimiter>key<separator>value`, as far as the properties ask for it (Kafka's LineMessageReader). */
export function lineParser(given: Readonly<Record<string, string>>, topic: string): (line: string) => ProducerRecord {
  const property = checked(given);
  const withHeaders = isTrue(property['parse.headers']);
  const withKey = isTrue(property['parse.key']);
  const isLenient = isTrue(property['ignore.error']);
  const orNull = nullable(property['null.marker']);
  let number = 0;
  return (line) => {
    number++;
    let rest = line;
    const cut = (delimiter: string, what: string): string | undefined => {
      const at = rest.indexOf(delimiter);
      if (at === -1 && isLenient) return undefined;
      if (at === -1) throw new CommandError(`No ${what} found on line number ${number}: '${line}'`);
      const piece = rest.slice(0, at);
      rest = rest.slice(at + delimiter.length);
      return piece;
    };
    const headerText = withHeaders ? cut(property['headers.delimiter'], 'headers delimiter') : undefined;
    const key = withKey ? cut(property['key.separator'], 'key separator') : undefined;
    const headers = headerText === undefined || orNull(headerText) === null ? undefined : headerText;
    return {
      topic,
      value: orNull(rest),
      ...(key === undefined ? {} : { key: orNull(key) }),
      ...(headers === undefined ? {} : { headers: headerPairs(headers, property, number) }),
    };
  };
}

function headerPairs(text: string, property: ReaderProperties, lineNumber: number): [string, string | null][] {
  const orNull = nullable(property['null.marker']);
  const separator = property['headers.key.separator'];
  return text.split(property['headers.separator']).map((pair) => {
    const at = pair.indexOf(separator);
    if (at === -1) {
      if (isTrue(property['ignore.error'])) return [pair, null];
      throw new CommandError(`No header key separator found in pair '${pair}' on line number ${lineNumber}`);
    }
    const name = pair.slice(0, at);
    if (orNull(name) === null) {
      throw new CommandError(`Header keys should not be equal to the null marker '${name}' as they can't be null`);
    }
    return [name, orNull(pair.slice(at + separator.length))];
  });
}

function checked(given: Readonly<Record<string, string>>): ReaderProperties {
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(readerProperties, key))
      throw new UsageError(`unknown reader property '${key}'; there are ${readerPropertyNames}`);
  }
  const property = { ...readerProperties, ...given };
  for (const [one, other] of distinct) {
    if (property[one] === property[other]) throw new UsageError(`${one} and ${other} may not be equal`);
  }
  return property;
}

function nullable(marker: string): (text: string) => string | null {
  return (text) => (marker !== '' && text === marker ? null : text);
}

/** As Java's tools read a switch. */
export function isTrue(text: string): boolean {
  return text.trim().toLowerCase() === 'true';
}
