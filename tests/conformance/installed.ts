import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from './foreign-client.ts';
import { lastLine, run } from './processes.ts';

/** Foreign clients are installed here, outside the project, and stay for the next run. */
const cacheDirectory = process.env.NARU_CONFORMANCE_CACHE ?? join(tmpdir(), 'naru-conformance');
const installTimeoutMs = 180_000;

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

/** Jars from Maven Central by `group:artifact:version`; returns the class path. */
export async function mavenJars(name: string, artifacts: readonly string[]): Promise<string> {
  const directory = join(cacheDirectory, 'java', name);
  await mkdir(directory, { recursive: true });
  await Promise.all(artifacts.map((artifact) => download(directory, artifact)));
  return join(directory, '*');
}

/** By Maven's own client, which knows where this machine gets its artifacts from. */
async function download(directory: string, coordinates: string): Promise<void> {
  const [, artifact, version] = coordinates.split(':') as [string, string, string];
  if (existsSync(join(directory, `${artifact}-${version}.jar`))) return;
  const argv = ['-q', '-B', 'dependency:copy', `-Dartifact=${coordinates}`, `-DoutputDirectory=${directory}`];
  const { status, stdout, stderr } = await run('mvn', argv, { timeoutMs: installTimeoutMs });
  if (status !== 0) throw new Unavailable(`${coordinates} cannot be had: ${lastLine(stderr || stdout)}`);
}
