/**
 * Generates the message types and service definitions from proto/ into packages/rpc/src/generated.
 * `npm run generate` writes them; with `--check` it compares and exits with 1 when what is checked in is not current.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');
const generatedFolder = join(root, 'packages/rpc/src/generated');

/**
 * A map field becomes an object without a prototype: with `{}`, an entry whose key is `__proto__` would disappear, and a
 * missing key that is a name of Object.prototype would be found.
 */
function withSafeMaps(source: string): string {
  return source.replaceAll(/^( {2}return \{ .*\};)$/gm, (line) =>
    line.replaceAll(/: \{\}/g, ': globalThis.Object.create(null)'),
  );
}

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** Runs buf with the project's plugin; the output is `<folder>/naru/…`. */
function generateInto(folder: string): void {
  const bin = join(root, 'node_modules/.bin');
  const result = spawnSync(join(bin, 'buf'), ['generate', 'proto', '--output', folder], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
  });
  if (result.status !== 0) {
    throw new Error(`buf generate failed: ${result.error?.message ?? result.stderr.trim()}`);
  }
}

/** Source by file name. */
function generate(): Map<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'naru-generate-'));
  try {
    generateInto(folder);
    const output = join(folder, 'packages/rpc/src/generated');
    return new Map(files(output).map((file) => [file, withSafeMaps(readFileSync(join(output, file), 'utf8'))]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function check(current: Map<string, string>): void {
  const checkedIn = files(generatedFolder);
  const stale = [...current].filter(
    ([file, source]) => !checkedIn.includes(file) || readFileSync(join(generatedFolder, file), 'utf8') !== source,
  );
  const foreign = checkedIn.filter((file) => !current.has(file));
  if (stale.length === 0 && foreign.length === 0) return;
  for (const [file] of stale) console.error(`not current: packages/rpc/src/generated/${file}`);
  for (const file of foreign) console.error(`no proto file: packages/rpc/src/generated/${file}`);
  console.error('Run `npm run generate` and commit the result.');
  process.exitCode = 1;
}

/** File by file, so that nobody who reads the folder meanwhile finds it empty. */
function write(current: Map<string, string>): void {
  for (const [file, source] of current) {
    const path = join(generatedFolder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, source);
  }
  for (const file of files(generatedFolder)) if (!current.has(file)) rmSync(join(generatedFolder, file));
}

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const current = generate();
if (values.check) check(current);
else write(current);
