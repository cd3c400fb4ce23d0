import { readPropertiesFile } from './connection.ts';
import { UsageError } from './flags.ts';

export interface ConfigChange {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

/** What `--add-config k=v,k2=[a,b]`, a properties file and `--delete-config k,k2` ask for. A key that is set and removed at once is a mistake. */
export function configChange(
  added: readonly string[],
  file: string | undefined,
  deleted: readonly string[],
): ConfigChange {
  const set = { ...readPropertiesFile(file), ...Object.fromEntries(added.flatMap(settingsIn)) };
  const remove = deleted.flatMap((list) => list.split(',').map((key) => key.trim()));
  const both = remove.find((key) => Object.hasOwn(set, key));
  if (both !== undefined) throw new UsageError(`'${both}' stands in --add-config and in --delete-config`);
  if (remove.includes('')) throw new UsageError('--delete-config must be of the form key,key');
  return { set, remove };
}

/** Commas separate settings, and inside of brackets the entries of a list. */
function settingsIn(text: string): [key: string, value: string][] {
  return text.split(/,(?![^[]*\])/).map((setting) => {
    const [, key, value] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/s.exec(setting) ?? [];
    if (key === undefined || value === undefined) {
      throw new UsageError(`--add-config must be of the form key=value,key=[a,b], not '${setting}'`);
    }
    return [key, value.replace(/^\[(.*)\]$/s, '$1')];
  });
}
