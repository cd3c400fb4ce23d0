import { closest } from '@naru/config';
import { ConfigError } from '../errors.ts';
import type { Serde } from './serde.ts';
import { boolean, bytes, double, float, integer, json, long, nothing, short, string, uuid } from './serdes.ts';

const byName: Readonly<Record<string, () => Serde<unknown>>> = {
  string,
  short,
  integer,
  long,
  float,
  double,
  boolean,
  bytes,
  uuid,
  json,
  void: nothing,
};

const javaClass = /^org\.apache\.kafka\.common\.serialization\.(\w+?)(?:Serializer|Deserializer)$/;
/** Where the short name is not the class's own in small letters. */
const otherNames: Readonly<Record<string, string>> = { bytearray: 'bytes', bytebuffer: 'bytes' };

/** What `key.serializer` and its like name: `string`, `long`, …, or the class that Java's configurations have. Throws `ConfigError`. */
export function serdeNamed(setting: string, name: string): Serde<unknown> {
  const short = (javaClass.exec(name)?.[1] ?? name).toLowerCase();
  const make = Object.hasOwn(byName, otherNames[short] ?? short) ? byName[otherNames[short] ?? short] : undefined;
  if (make !== undefined) return make();
  const known = Object.keys(byName);
  const near = closest(short, known);
  const hint = near === undefined ? `there are ${known.join(', ')}` : `did you mean '${near}'?`;
  throw new ConfigError(`unknown value '${name}' of configuration '${setting}'; ${hint}`);
}
