import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Unavailable } from './foreign-client.ts';
import { lastLine, run } from './processes.ts';

/** Foreign clients are installed here, outside the project, and stay for the next run. */
const cacheDirectory = process.env.NARU_CONFORMANCE_CACHE ?? join(tmpdir(), 'naru-conformance');
const installTimeoutMs = 180_000;
const buildTimeoutMs = 300_000;

/** Packages from the npm registry; returns the directory with their node_modules. */
export async function npmPackages(name: string, packages: readonly string[]): Promise<string> {
  const directory = join(cacheDirectory, 'npm', name);
  if (existsSync(join(directory, 'installed'))) return directory;
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'package.json'), '{"private":true}\n');
  const argv = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', ...packages];
  const { status, stderr } = await run('npm', argv, { cwd: directory, timeoutMs: installTimeoutMs });
  if (status !== 0) throw new Unavailable(`npm cannot get ${packages.join(', ')}: ${lastLine(stderr)}`);
  await writeFile(join(directory, 'installed'), '');
  return directory;
}

/** Builds a package with native code against the installed Node's headers; returns that Node. Nothing is downloaded. */
export async function builtAddon(directory: string, name: string): Promise<string> {
  // Not the pinned one of this project, which comes without headers.
  const installed = await run('sh', ['-c', 'PATH=/usr/local/bin:/usr/bin:/bin; command -v node; npm root -g']);
  const [node = '', modules = ''] = installed.stdout.trim().split('\n');
  const headers = join(dirname(dirname(node)), 'include', 'node', 'node.h');
  if (node === '' || !existsSync(headers)) throw new Unavailable(`${name} is built from source: no headers of Node`);
  if (existsSync(join(directory, 'built'))) return node;
  const gyp = join(modules, 'npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  const argv = [gyp, 'rebuild', `--nodedir=${dirname(dirname(node))}`];
  const cwd = join(directory, 'node_modules', name);
  const { status, stdout, stderr } = await run(node, argv, { cwd, timeoutMs: buildTimeoutMs });
  if (status !== 0) throw new Unavailable(`${name} cannot be built: ${lastLine(stderr || stdout)}`);
  await writeFile(join(directory, 'built'), '');
  return node;
}

/** Packages from PyPI in an environment of their own; returns its interpreter. */
export async function pythonPackages(name: string, packages: readonly string[]): Promise<string> {
  const directory = join(cacheDirectory, 'python', name);
  const python = join(directory, 'bin', 'python');
  if (existsSync(join(directory, 'installed'))) return python;
  const made = await run('python3', ['-m', 'venv', directory], { timeoutMs: installTimeoutMs });
  if (made.status !== 0) throw new Unavailable(`no Python environment: ${lastLine(made.stderr || made.stdout)}`);
  const argv = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages];
  const { status, stderr } = await run(python, argv, { timeoutMs: installTimeoutMs });
  if (status !== 0) throw new Unavailable(`pip cannot get ${packages.join(', ')}: ${lastLine(stderr)}`);
  await writeFile(join(directory, 'installed'), '');
  return python;
}

/** Artifacts from Maven Central (`group:artifact:version`) with what they need at run time; returns the class path. */
export async function mavenClassPath(name: string, artifacts: readonly string[]): Promise<string> {
  const directory = join(cacheDirectory, 'maven', name);
  const jars = join(directory, 'jars');
  if (existsSync(join(directory, 'installed'))) return join(jars, '*');
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'pom.xml'), pomOf(artifacts));
  // By Maven's own client, which knows where this machine gets its artifacts from.
  const argv = ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${jars}`];
  const { status, stdout, stderr } = await run('mvn', argv, { cwd: directory, timeoutMs: installTimeoutMs });
  if (status !== 0) throw new Unavailable(`Maven cannot get ${artifacts.join(', ')}: ${lastLine(stderr || stdout)}`);
  await writeFile(join(directory, 'installed'), '');
  return join(jars, '*');
}

function pomOf(artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group, id, version] = artifact.split(':');
    const coordinates = `<groupId>${group}</groupId><artifactId>${id}</artifactId><version>${version}</version>`;
    return `<dependency>${coordinates}</dependency>`;
  });
  return [
    '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>',
    '<groupId>naru</groupId><artifactId>foreign-clients</artifactId><version>1</version>',
    `<dependencies>${dependencies.join('')}</dependencies></project>\n`,
  ].join('\n');
}
