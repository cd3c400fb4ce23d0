import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const exec = promisify(execFile);

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; never throws for its status. */
export async function run(program: string, argv: readonly string[], cwd: string): Promise<Finished> {
  try {
    return { status: 0, ...(await exec(program, argv, { cwd, timeout: 120_000, maxBuffer: 16 * 1024 * 1024 })) };
  } catch (error) {
    const { code, stdout = '', stderr = '', message } = error as Error & Partial<Finished> & { code?: unknown };
    return { status: typeof code === 'number' ? code : -1, stdout, stderr: stderr === '' ? message : stderr };
  }
}

export async function runOrThrow(program: string, argv: readonly string[], cwd: string): Promise<string> {
  const { status, stdout, stderr } = await run(program, argv, cwd);
  if (status !== 0) throw new Error(`${program} ${argv.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

/**
 * Packs services as `npm pack -w` does, in a copy of what belongs to the repository: while a tarball is made, `package.json` is another one for a
 * moment, and other tests must not see it. Returns the tarballs in the same order.
 */
export async function pack(services: readonly string[], into: string): Promise<string[]> {
  const copy = await mkdtemp(join(tmpdir(), 'naru-pack-'));
  try {
    const listed = await runOrThrow('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...copied], root);
    const files = listed.split('\n').filter((file) => file !== '' && !file.endsWith('.test.ts'));
    for (const directory of new Set(files.map((file) => dirname(file))))
      await mkdir(join(copy, directory), { recursive: true });
    await Promise.all(files.map((file) => cp(join(root, file), join(copy, file))));
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
    return await Promise.all(
      services.map(async (service) => {
        const argv = ['pack', '-w', `services/${service}`, '--json', '--pack-destination', into];
        return join(into, /[\w.-]+\.tgz/.exec(await runOrThrow('npm', argv, copy))?.[0] as string);
      }),
    );
  } finally {
    await rm(copy, { recursive: true });
  }
}

const copied = ['package.json', 'tsconfig.json', 'LICENSE', 'packages', 'services', 'scripts'];

/** A project outside of the repository, without anything of it but the tarball. */
export async function emptyProject(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'naru-project-'));
  await writeFile(join(directory, 'package.json'), '{"private":true}\n');
  return directory;
}

/** The first block of a README that begins with this comment. */
export async function exampleOf(readme: string, name: string): Promise<string> {
  const text = await readFile(join(root, readme), 'utf8');
  const blocks = [...text.matchAll(/^```\w+\n([\s\S]*?)^```$/gm)].map((match) => match[1] as string);
  const block = blocks.find((code) => code.startsWith(`// ${name}`));
  if (block === undefined) throw new Error(`${readme} has no example ${name}`);
  return block;
}
