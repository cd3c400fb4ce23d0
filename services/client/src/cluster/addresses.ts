import type { Address } from '@naru/runtime';
import { ConfigError } from '../errors.ts';

/** `host:port` or `[v6]:port`, each; throws `ConfigError` that names the entry. */
export function parseBootstrapServers(entries: readonly string[] | undefined): readonly Address[] {
  if (entries === undefined || entries.length === 0) {
    throw new ConfigError("configuration 'bootstrap.servers' is missing: give host:port of at least one broker");
  }
  return entries.map(parseEntry);
}

function parseEntry(entry: string): Address {
  const text = entry.trim();
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) {
    throw new ConfigError(
      `invalid entry ${JSON.stringify(text)} in configuration 'bootstrap.servers': it must be host:port`,
    );
  }
  return { host: (match[1] ?? match[2]) as string, port };
}
