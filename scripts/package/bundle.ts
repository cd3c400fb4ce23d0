import { readFileSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { type OutputChunk, rolldown } from 'rolldown';
import { bundleName, type Manifest } from './manifest.ts';

/** Syntax for the oldest Node that runs any of what is published. */
const target = 'node20';

/** What is in the bundle besides the workspace packages; small, pure and without dependencies. */
const bundledPackages = ['@naru', '@bufbuild/protobuf'];

/** Writes each source of the package as an ES module and as CommonJS into `dist`. `sources`: subpath → file. */
export async function writeBundles(
  directory: string,
  manifest: Manifest,
  sources: Readonly<Record<string, string>>,
): Promise<void> {
  const bundle = await rolldown({
    cwd: directory,
    input: Object.fromEntries(Object.entries(sources).map(([subpath, source]) => [bundleName(subpath), source])),
    platform: 'node',
    external: isExternal,
    transform: { target },
    // No module of ours does anything by being loaded.
    treeshake: { moduleSideEffects: false },
    onLog: (_level, log) => {
      throw new Error(log.message);
    },
  });
  try {
    const chunks: OutputChunk[] = [];
    for (const [format, extension] of [
      ['es', 'js'],
      ['cjs', 'cjs'],
    ] as const) {
      const { output } = await bundle.write({
        dir: join(directory, 'dist'),
        format,
        // Errors are known by their class's name, which a bundle changes where two modules have the same.
        keepNames: true,
        // Jest runs CommonJS only, and knows no import() there.
        dynamicImportInCjs: false,
        entryFileNames: `[name].${extension}`,
        chunkFileNames: `shared/[name].${extension}`,
      });
      chunks.push(...output.filter((part) => part.type === 'chunk'));
    }
    checkImports(manifest, chunks);
    writeFileSync(join(directory, 'dist', 'NOTICE.txt'), noticesOf(chunks.flatMap((chunk) => chunk.moduleIds)));
  } finally {
    await bundle.close();
  }
}

function isExternal(id: string): boolean {
  if (id.startsWith('.') || id.startsWith('/') || id.startsWith('\0')) return false;
  return isBuiltin(id) || !bundledPackages.some((name) => id.startsWith(`${name}/`) || id === name);
}

/** What is loaded with the package must be installed with it. What it loads when it is needed is another matter. */
function checkImports({ name, dependencies, peerDependencies }: Manifest, chunks: readonly OutputChunk[]): void {
  const own = new Set(chunks.map((chunk) => chunk.fileName));
  const installed = Object.keys({ ...dependencies, ...peerDependencies });
  for (const imported of chunks.filter(isModule).flatMap((chunk) => chunk.imports)) {
    if (own.has(imported) || isBuiltin(imported)) continue;
    if (installed.some((known) => imported === known || imported.startsWith(`${known}/`))) continue;
    throw new Error(`${name} loads ${imported}: put it among its dependencies`);
  }
}

/** In CommonJS what is loaded later looks like what is loaded at once. */
function isModule({ fileName }: OutputChunk): boolean {
  return fileName.endsWith('.js');
}

/** The copyright notices of others whose code is in the bundle. */
function noticesOf(moduleIds: readonly string[]): string {
  const notices = moduleIds
    .filter((id) => id.includes('/node_modules/'))
    .map((id) => /^(?:\s*\/\/.*\n)+/.exec(readFileSync(id, 'utf8'))?.[0] ?? '')
    .filter((comment) => /copyright/i.test(comment))
    .map((comment) => comment.replace(/^\s*\/\/ ?/gm, ''));
  return `Parts of this package come from @bufbuild/protobuf:\n\n${[...new Set(notices)].join('\n---\n\n')}`;
}
