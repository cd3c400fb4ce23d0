import { ConfigError } from './definition.ts';

/**
 * Reads the text of a Java `.properties` file as far as Kafka's own files use it: `key=value` or `key: value`, `#` and `!` comments, a
 * backslash at the end of a line joins it with the next, `\\`, `\n`, `\t`, `\:`, `\=`, `\uXXXX`. Throws `ConfigError` with the line number.
 */
export function parseProperties(text: string): Record<string, string> {
  const result: Record<string, string> = Object.create(null);
  const lines = text.split(/\r\n|\n|\r/);
  for (let i = 0; i < lines.length; i++) {
    const first = i;
    let line = (lines[i] as string).trimStart();
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue;
    while (/(?:^|[^\\])(?:\\\\)*\\$/.test(line) && i + 1 < lines.length) {
      i++;
      line = line.slice(0, -1) + (lines[i] as string).trimStart();
    }
    const match = /^((?:\\.|[^\\=:\s])+)\s*[=:]?\s*(.*)$/.exec(line);
    if (match === null)
      throw new ConfigError('', `line ${first + 1} is not of the form key=value: ${JSON.stringify(line)}`);
    const key = unescapeText(match[1] as string);
    if (key in result) throw new ConfigError(key, `line ${first + 1}: configuration key '${key}' is given twice`);
    result[key] = unescapeText((match[2] as string).trimEnd());
  }
  return { ...result };
}

/** The text that `parseProperties` reads back as the same values. */
export function formatProperties(values: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key.replace(/[\\=:\s#!]/g, '\\$&')}=${escapeValue(String(value))}\n`)
    .join('');
}

function escapeValue(value: string): string {
  return value
    .replace(/\\/g, '\\\\')
    .replace(/\n/g, '\\n')
    .replace(/\r/g, '\\r')
    .replace(/^\s|\s$/g, (space) => `\\u${space.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function unescapeText(text: string): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|.)/g, (_, code: string) => {
    if (code.length === 5) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return { n: '\n', t: '\t', r: '\r', f: '\f' }[code] ?? code;
  });
}
