/** Checks what a compiler does not: layering, ambient calls, long files. `node scripts/tidy.ts` prints what is wrong and exits 1. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ambientAllowed, ambientCalls, type Layer, layers, pureNodeModules } from './layering.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const fileLinesMax = 600;

/** Long files that we know of; the list only shrinks. */
const knownLongFiles: readonly string[] = [];

export function sourceFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--', '*.ts'], {
    cwd: root,
    encoding: 'utf8',
  });
  return listed
    .split('\n')
    .filter((file) => file !== '' && !file.includes('/generated/') && existsSync(join(root, file)));
}

export function tidy(files: readonly string[] = sourceFiles()): string[] {
  const problems: string[] = [];
  for (const file of files) problems.push(...checkFile(file, readFileSync(join(root, file), 'utf8')));
  return problems;
}

/** Test code may reach further: only what ships is held to the layers. */
export function isTest(file: string): boolean {
  return (
    file.endsWith('.test.ts') ||
    file.includes('/contracts/') ||
    file.includes('/testing/') ||
    /^(tests|bench|scripts|examples)\//.test(file)
  );
}

export function checkFile(file: string, text: string): string[] {
  const problems: string[] = [];
  const lines = text.split('\n');
  if (lines.length > fileLinesMax && !knownLongFiles.includes(file)) {
    problems.push(`${file}: ${lines.length} lines, more than ${fileLinesMax}: is it one subject?`);
  }
  if (isTest(file) || !/^(packages|services)\//.test(file)) return problems;
  const layer = layerOf(file);
  if (layer === undefined) return [...problems, `${file}: no layer in scripts/layering.ts contains it`];
  for (const imported of importsOf(text)) {
    const reason = refusal(file, imported, layer.folder, layer.layer);
    if (reason !== undefined) problems.push(`${file}: may not import ${imported}: ${reason}`);
  }
  if (!ambientAllowed.some((prefix) => file.startsWith(prefix))) {
    lines.forEach((line, i) => {
      const code = line.replace(/\/\/.*$|^\s*\*.*$|^\s*\/\*.*$/, '');
      const call = ambientCalls.exec(code);
      if (call !== null) problems.push(`${file}:${i + 1}: ${call[0]} is the outside world: take it from the runtime`);
    });
  }
  return problems;
}

function importsOf(text: string): string[] {
  return [
    ...text.matchAll(
      /^\s*(?:import|export)\b[^'";]*?\bfrom\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\('([^']+)'\)/gm,
    ),
  ].map((match) => match[1] ?? match[2] ?? (match[3] as string));
}

function layerOf(file: string): { folder: string; layer: Layer } | undefined {
  let folder = dirname(file);
  for (; folder !== '.'; folder = dirname(folder)) {
    const layer = layers[folder];
    if (layer !== undefined) return { folder, layer };
  }
  return undefined;
}

function refusal(file: string, imported: string, folder: string, layer: Layer): string | undefined {
  if (imported.startsWith('node:')) {
    if (pureNodeModules.includes(imported) || layer.node === 'anything' || layer.node?.includes(imported))
      return undefined;
    return `${folder} may not use it`;
  }
  if (imported.startsWith('@naru/')) {
    const name = imported.split('/')[1] as string;
    return layer.packages.includes(name)
      ? undefined
      : `${folder} may import ${layer.packages.join(', ') || 'no package'}`;
  }
  if (!imported.startsWith('.')) {
    const owner = JSON.parse(readFileSync(join(root, file.split('/').slice(0, 2).join('/'), 'package.json'), 'utf8'));
    const name = imported.startsWith('@')
      ? imported.split('/').slice(0, 2).join('/')
      : (imported.split('/')[0] as string);
    const declared = { ...owner.dependencies, ...owner.optionalDependencies, ...owner.peerDependencies };
    return declared[name] === undefined ? `it is no dependency of ${owner.name}` : undefined;
  }
  const target = normalize(join(dirname(file), imported));
  const inside = relative(folder, target);
  if (!inside.startsWith('..')) {
    const own = layerOf(target);
    if (own?.folder === folder || layer.within === 'anything') return undefined;
  }
  const source = `${file.split('/').slice(0, 3).join('/')}/`;
  if (!target.startsWith(source)) return 'it leaves the package: import by name';
  if (layer.within === 'anything') return undefined;
  const place = target.slice(source.length);
  return layer.within?.some((allowed) => place === allowed || place.startsWith(`${allowed}/`))
    ? undefined
    : `${folder} may import ${layer.within?.join(', ') ?? 'nothing of its siblings'}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = tidy();
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log('tidy');
}
