import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { DeclarationFile, type Origin } from './declaration-file.ts';
import { readManifest, root, sourcesOf } from './manifest.ts';

/**
 * Writes the types of a service as declaration files: what its entries export and everything that is needed to say it, across workspace
 * packages, so that no type of another package is left to be looked up. `entries`: source files, relative to the service's folder. Returns each
 * entry's declaration file, relative to `outDirectory`.
 */
export function writeDeclarations(service: string, entries: readonly string[], outDirectory: string): string[] {
  const emitted = mkdtempSync(join(root, 'node_modules', '.declarations-'));
  try {
    emit(service, emitted);
    const reach = new Reach(emitted);
    const sources = entries.map((entry) => join(relative(root, service), entry));
    for (const source of sources) reach.everythingOf(source);
    for (const [source, text] of reach.written()) {
      const target = join(outDirectory, declarationOf(source));
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text);
    }
    return sources.map(declarationOf);
  } finally {
    rmSync(emitted, { recursive: true });
  }
}

/**
 * The service's own settings of the compiler: all sources that it is made of, since what is reached only by a package's name counts as somebody else's, of
 * which the compiler writes nothing; and the built-ins of the oldest Node that its `engines` names, so that sources with younger ones are refused.
 */
function emit(service: string, outDir: string): void {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const project = join(service, 'tsconfig.published.json');
  const emission = [
    '--noEmit',
    'false',
    '--declaration',
    '--emitDeclarationOnly',
    '--rootDir',
    root,
    '--outDir',
    outDir,
  ];
  execFileSync(process.execPath, [compiler, '-p', project, ...emission], { stdio: 'inherit' });
}

/** Follows names from file to file. A file is named by its source, relative to the root. */
class Reach {
  readonly #emitted: string;
  readonly #files = new Map<string, DeclarationFile>();

  constructor(emitted: string) {
    this.#emitted = emitted;
  }

  /** Everything that the file exports, also what it has from others. */
  everythingOf(source: string): void {
    const file = this.#file(source);
    if (file.isWhole) return;
    file.isWhole = true;
    for (const name of file.exportedNames) this.#need(source, name);
    for (const origin of file.reexports.values()) this.#follow(source, origin);
    for (const specifier of file.stars) this.everythingOf(sourceOf(specifier, source) as string);
  }

  /** Text of every file that is needed, with direct imports between them. */
  *written(): Iterable<[source: string, text: string]> {
    for (const [source, file] of this.#files) {
      const text = file.write((origin) => this.#place(source, origin));
      if (text !== '') yield [source, text];
    }
  }

  #need(source: string, name: string): void {
    const file = this.#file(source);
    for (const origin of file.keep(name)) this.#follow(source, origin);
  }

  #follow(from: string, origin: Origin): void {
    const target = sourceOf(origin.specifier, from);
    if (target === undefined) return;
    if (origin.name === '*') {
      this.everythingOf(target);
      return;
    }
    const home = this.#home(target, origin.name);
    if (home === undefined) throw new Error(`${from}: ${target} does not export ${origin.name}`);
    if (home.name === '*') this.everythingOf(home.source);
    else this.#need(home.source, home.name);
  }

  /** Where a name that `source` exports is declared; `*`: it is that whole file. */
  #home(source: string, name: string): { readonly source: string; readonly name: string } | undefined {
    const file = this.#file(source);
    if (file.declares(name)) return { source, name };
    const origin = file.reexports.get(name);
    if (origin !== undefined) {
      const target = sourceOf(origin.specifier, source) as string;
      return origin.name === '*' ? { source: target, name: '*' } : this.#home(target, origin.name);
    }
    for (const specifier of file.stars) {
      const home = this.#home(sourceOf(specifier, source) as string, name);
      if (home !== undefined) return home;
    }
    return undefined;
  }

  /** The origin as it is written in `from`: the file that declares it. */
  #place(from: string, origin: Origin): Origin {
    const target = sourceOf(origin.specifier, from);
    if (target === undefined) return origin;
    const home = origin.name === '*' ? { source: target, name: '*' } : this.#home(target, origin.name);
    if (home === undefined) throw new Error(`${from}: ${target} does not export ${origin.name}`);
    return { specifier: importPath(from, home.source), name: home.name };
  }

  #file(source: string): DeclarationFile {
    let file = this.#files.get(source);
    if (file === undefined) {
      file = new DeclarationFile(readFileSync(join(this.#emitted, declarationOf(source)), 'utf8'));
      this.#files.set(source, file);
    }
    return file;
  }
}

/** The source file behind a specifier; undefined for what is in no workspace package. */
function sourceOf(specifier: string, importer: string): string | undefined {
  if (specifier.startsWith('.')) return join(dirname(importer), specifier);
  if (!specifier.startsWith('@naru/')) return undefined;
  const [scope, name, ...rest] = specifier.split('/');
  const folder = ['packages', 'services'].map((kind) => `${kind}/${name}`).find((path) => existsSync(join(root, path)));
  if (folder === undefined) throw new Error(`${importer}: there is no workspace ${scope}/${name}`);
  const subpath = ['.', ...rest].join('/');
  const source = sourcesOf(readManifest(join(root, folder)))[subpath];
  if (source === undefined) throw new Error(`${importer}: ${scope}/${name} has no export ${subpath}`);
  return join(folder, source);
}

function declarationOf(source: string): string {
  return source.replace(/\.ts$/, '.d.ts');
}

function importPath(from: string, to: string): string {
  const path = relative(dirname(from), to).replace(/\.ts$/, '.js');
  return path.startsWith('.') ? path : `./${path}`;
}
