import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { settingsWithoutEffect, withoutForeign } from './foreign-settings.ts';
import * as sdk from './index.ts';

const text = readFileSync(join(import.meta.dirname, '..', 'MIGRATION.md'), 'utf8');
const rows = text.split('\n').filter((line) => line.startsWith('|') && !line.startsWith('|---'));
/** The last column of each table: what there is here. */
const ours = rows
  .map((row) => row.split(' | ').slice(1).join(' | '))
  .filter((cell) => !/^here \|$/.test(cell))
  .join('\n');
const settings = new Set(Object.values(sdk.clientSettings).flatMap((group) => Object.keys(group)));

function quoted(within: string, pattern: RegExp): string[] {
  const code = [...within.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string);
  return code.flatMap((one) => [...one.matchAll(pattern)].map((match) => match[1] as string));
}

describe('the migration tables name what there is', () => {
  const subjects = { client: sdk.Client, producer: sdk.Producer, consumer: sdk.Consumer, admin: sdk.Admin };

  test.each(Object.entries(subjects))('methods of %s', (name, subject) => {
    const named = quoted(ours, new RegExp(`\\b${name}\\.(\\w+)`, 'g')).filter(
      (method) => method !== 'id' && method !== 'rack',
    );
    expect(named.length).toBeGreaterThan(name === 'client' ? 1 : 4);
    expect(named.filter((method) => !(method in subject.prototype))).toEqual([]);
  });

  test('settings', () => {
    const named = quoted(ours, /^([a-z]+(?:\.[a-z]+)+)$/g).filter(
      (name) => !/^(?:producer|consumer|admin|client|record|error)\.(?!id|rack)/.test(name),
    );
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !settings.has(name))).toEqual([]);
  });

  test.each([
    { end: '| left out, with a word in the log |', inert: true },
    { end: '| refused, with the reason |', inert: false },
  ])('settings that are not here: $end', ({ end, inert }) => {
    const named = quoted(rows.find((row) => row.endsWith(end)) as string, /^([a-z]+(?:\.[a-z]+)+)$/g);
    expect(named.length).toBeGreaterThan(4);
    for (const name of named) {
      const input = { [name]: 'x' };
      if (inert) expect([name, settingsWithoutEffect(input)]).toEqual([name, [name]]);
      else expect(() => withoutForeign(input), name).toThrow(sdk.ConfigError);
    }
  });

  test('errors', () => {
    const named = quoted(ours + text.slice(text.lastIndexOf('### Errors')), /\b([A-Z]\w+Error)\b/g);
    expect(named.filter((name) => !(name in sdk))).toEqual([]);
  });
});
