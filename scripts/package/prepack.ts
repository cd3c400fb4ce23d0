/**
 * Before `npm pack` and `npm publish` of a service: builds what plain Node runs. Inside the repository everything runs from the sources, and
 * installed packages cannot (Node strips no types under node_modules); so the tarball gets bundles, declarations and its own `exports`.
 */
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeBundles } from './bundle.ts';
import { writeDeclarations } from './declarations.ts';
import { publishManifest, readManifest, root, sourcesOf } from './manifest.ts';

const directory = process.cwd();
const manifest = readManifest(directory);
const sources = sourcesOf(manifest);
rmSync(join(directory, 'dist'), { recursive: true, force: true });
await writeBundles(directory, manifest, sources);
const declarations = writeDeclarations(directory, Object.values(sources), join(directory, 'dist', 'types'));
copyFileSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
publishManifest(
  directory,
  Object.fromEntries(Object.keys(sources).map((subpath, i) => [subpath, `types/${declarations[i]}`])),
);
