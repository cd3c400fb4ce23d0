import { ConfigError, type ConfigInput, type ConfigValues, type Setting, type Settings } from './definition.ts';
import { closest } from './suggestion.ts';

/** A table of settings with the functions that read it. */
export interface ConfigDefinition<T extends Settings> {
  readonly settings: T;
  /**
   * Checks and converts. Keys may be written as `linger.ms` or `lingerMs`. Throws `ConfigError` for an unknown key (with the closest known one), a
   * key given twice, a value of the wrong type or out of range.
   */
  parse(input: ConfigInput): ConfigValues<T>;
  /** One value from text; for topic configs that arrive one at a time. */
  parseValue<Key extends keyof T & string>(key: Key, value: unknown): ConfigValues<T>[Key];
  has(key: string): key is keyof T & string;
  /** The error for a key that is not in the table. */
  unknownKey(key: string): ConfigError;
}

export function defineConfig<const T extends Settings>(settings: T): ConfigDefinition<T> {
  const names = new Map<string, string>();
  for (const key of Object.keys(settings)) {
    names.set(key, key);
    names.set(camelCase(key), key);
  }
  const unknownKey = (key: string): ConfigError => {
    const suggestion = closest(key, names.keys());
    const hint = suggestion === undefined ? '' : `; did you mean '${names.get(suggestion)}'?`;
    return new ConfigError(key, `unknown configuration key '${key}'${hint}`);
  };
  return {
    settings,
    has: (key): key is keyof T & string => Object.hasOwn(settings, key),
    unknownKey,
    parseValue: (key, value) => parseSetting(key, settings[key] as Setting, value) as never,
    parse: (input) => {
      const values: Record<string, unknown> = {};
      for (const [key, setting] of Object.entries(settings)) values[key] = setting.default;
      const given = new Set<string>();
      for (const [written, value] of Object.entries(input)) {
        if (value === undefined) continue;
        const key = names.get(written);
        if (key === undefined) throw unknownKey(written);
        if (given.has(key)) throw new ConfigError(key, `configuration key '${key}' is given twice`);
        given.add(key);
        values[key] = parseSetting(key, settings[key] as Setting, value);
      }
      return values as ConfigValues<T>;
    },
  };
}

/** `linger.ms` and `broker-id` to `lingerMs` and `brokerId`. */
export function camelCase(key: string): string {
  return key.replace(/[.-]([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function parseSetting(key: string, setting: Setting, value: unknown): unknown {
  switch (setting.type) {
    case 'string':
      return parseString(key, setting.oneOf, value);
    case 'boolean':
      return parseBoolean(key, value);
    case 'list':
      return parseList(key, setting.oneOf, value);
    case 'int':
    case 'long':
    case 'double':
      return parseNumber(key, setting, value);
  }
}

function parseString(key: string, oneOf: readonly string[] | undefined, value: unknown): string {
  const text = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
  if (typeof text !== 'string') throw invalid(key, value, 'text');
  if (oneOf !== undefined && !oneOf.includes(text)) throw invalid(key, value, `one of ${oneOf.join(', ')}`);
  return text;
}

function parseBoolean(key: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') {
    const text = value.trim().toLowerCase();
    if (text === 'true') return true;
    if (text === 'false') return false;
  }
  throw invalid(key, value, 'true or false');
}

function parseList(key: string, oneOf: readonly string[] | undefined, value: unknown): readonly string[] {
  const items = itemsOf(key, value);
  if (oneOf !== undefined && (items.length === 0 || !items.every((item) => oneOf.includes(item)))) {
    throw invalid(key, value, `one or more of ${oneOf.join(', ')}`);
  }
  return items;
}

function itemsOf(key: string, value: unknown): readonly string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  if (typeof value !== 'string') throw invalid(key, value, 'a list separated by commas');
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function parseNumber(
  key: string,
  setting: Extract<Setting, { type: 'int' | 'long' | 'double' }>,
  value: unknown,
): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value.trim()) : value;
  const whole = setting.type !== 'double';
  const [lowest, highest] =
    setting.type === 'int' ? [-2_147_483_648, 2_147_483_647] : [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
  const min = Math.max(setting.min ?? lowest, lowest);
  const max = Math.min(setting.max ?? highest, highest);
  const wanted = `a ${whole ? 'whole number' : 'number'} ${setting.max === undefined ? `of at least ${min}` : `from ${min} to ${max}`}`;
  if (typeof number !== 'number' || Number.isNaN(number) || (whole && !Number.isInteger(number)))
    throw invalid(key, value, wanted);
  if (number < min || number > max) throw invalid(key, value, wanted);
  return number;
}

function invalid(key: string, value: unknown, wanted: string): ConfigError {
  return new ConfigError(
    key,
    `invalid value ${JSON.stringify(value) ?? String(value)} for configuration '${key}': it must be ${wanted}`,
  );
}
