import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** Where the manifest of the repository waits while the published one is in its place. */
const asideName = 'package.json.aside';

export function readManifest(directory: string): Manifest {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
}

/** Subpath → source file. */
export function sourcesOf({ name, exports }: Manifest): Record<string, string> {
  return Object.fromEntries(
    Object.entries(exports).map(([subpath, target]) => {
      if (typeof target !== 'string' || !target.endsWith('.ts'))
        throw new Error(`${name}: ${subpath} is no source file`);
      return [subpath, target];
    }),
  );
}

/** `.` → index, `./opentelemetry` → opentelemetry. */
export function bundleName(subpath: string): string {
  return subpath === '.' ? 'index' : subpath.slice(2);
}

/**
 * Puts the published manifest into the place of the repository's, where `exports` names sources. It says the same but for `exports`, so that whatever npm has read
 * of it before stays true. `types`: the declaration file of each subpath, relative to `dist`.
 */
export function publishManifest(directory: string, types: Readonly<Record<string, string>>): void {
  const path = join(directory, 'package.json');
  if (existsSync(join(directory, asideName)))
    throw new Error(`${join(directory, asideName)} is left from a pack that was cut off: put it back first`);
  const text = readFileSync(path, 'utf8');
  const published = { ...JSON.parse(text), exports: publishedExports(types) };
  renameSync(path, join(directory, asideName));
  writeFileSync(path, `${JSON.stringify(published, null, 2)}\n`);
}

export function restoreManifest(directory: string): void {
  const aside = join(directory, asideName);
  if (existsSync(aside)) renameSync(aside, join(directory, 'package.json'));
}

/**
 * `module-sync`: a Node that can `require` ES modules gets the same module by both ways, so that a class is one class. Others (Node before 20.19, jest)
 * get CommonJS from `require`.
 */
function publishedExports(types: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(types).map(([subpath, declaration]) => {
      const name = bundleName(subpath);
      const module = `./dist/${name}.js`;
      return [
        subpath,
        { types: `./dist/${declaration}`, 'module-sync': module, require: `./dist/${name}.cjs`, default: module },
      ];
    }),
  );
}
