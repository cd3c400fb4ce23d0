import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { Client } from '@naru/client';
import { startCluster, type TestCluster } from '@naru/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emptyProject, exampleOf, pack, root, run, runOrThrow } from './packed.ts';

const pinnedNode = join(root, 'node_modules', '.bin', 'node');

let project: string;
let cluster: TestCluster;

beforeAll(async () => {
  [project, cluster] = await Promise.all([emptyProject(), startCluster({ brokers: 1 })]);
  const [client, testing] = await pack(['client', 'testing'], project);
  // No registry is asked: all that the client depends on is optional.
  const argv = ['install', '--offline', '--omit=optional', '--no-audit', '--no-fund', client as string];
  await runOrThrow('npm', argv, project);
  const directory = join(project, 'node_modules', '@naru', 'testing');
  await mkdir(directory);
  await runOrThrow('tar', ['-xzf', testing as string, '--strip-components=1', '-C', directory], project);
}, 300_000);

afterAll(async () => {
  await cluster?.stop();
  await rm(project, { recursive: true, force: true });
});

/** The pinned Node, and the machine's own if it is young enough; the SDK is content with 20. */
async function nodes(oldest = 20): Promise<string[]> {
  const path = (process.env.PATH ?? '').split(delimiter).filter((directory) => !directory.includes('node_modules'));
  const candidates = path.map((directory) => join(directory, 'node')).filter((file) => existsSync(file));
  const versions = await Promise.all(candidates.slice(0, 1).map((node) => runOrThrow(node, ['--version'], project)));
  return [pinnedNode, ...candidates.filter((_, i) => Number(/^v(\d+)/.exec(versions[i] ?? '')?.[1]) >= oldest)];
}

/** What would come from the registry. */
async function installFromRepository(name: string): Promise<void> {
  const path = join(project, 'node_modules', name);
  await mkdir(dirname(path), { recursive: true });
  if (!existsSync(path)) await symlink(join(root, 'node_modules', name), path);
}

describe('the tarball of @naru/client in an empty project', () => {
  test('brings nothing native and no other package', async () => {
    expect(await readdir(join(project, 'node_modules', '@naru', 'client'))).toEqual([
      'LICENSE',
      'MIGRATION.md',
      'README.md',
      'dist',
      'package.json',
    ]);
    const installed = (await readdir(join(project, 'node_modules'))).filter((name) => !name.startsWith('.'));
    expect(installed).toEqual(['@naru']);
  });

  const required = (module: string) => (code: string) =>
    `const { Client } = require('${module}');\n(async () => {${code.replace(/^import.*$/m, '')}})();\n`;
  test.each([
    { name: 'plain.mjs', edit: (code: string) => code },
    { name: 'required.cjs', edit: required('@naru/client') },
    { name: 'commonjs.cjs', edit: required('./node_modules/@naru/client/dist/index.cjs') },
  ])(
    '$name of the README produces and consumes against a running cluster, on Node 20 and the pinned one',
    async ({ name, edit }) => {
      await writeFile(join(project, name), edit(await exampleOf('services/client/README.md', 'plain.mjs')));
      for (const node of await nodes()) {
        const { status, stdout, stderr } = await run(node, [name, cluster.bootstrapServers], project);
        expect({ node, status, stderr }).toEqual({ node, status: 0, stderr: '' });
        expect(stdout).toMatch(/^wrote greetings-0@\d+\nread greetings-0@\d+: world hello\n$/);
      }
    },
  );

  test('writes and reads every codec without native modules; zstd where Node has it, else it says what to do', async () => {
    await writeFile(join(project, 'codecs.mjs'), codecsProgram);
    for (const node of await nodes()) {
      const hasZstd = (await runOrThrow(node, ['-p', 'typeof zlib.zstdCompressSync'], project)).trim() === 'function';
      const { status, stdout, stderr } = await run(node, ['codecs.mjs', cluster.bootstrapServers], project);
      expect({ node, status, stderr }).toEqual({ node, status: 0, stderr: '' });
      const [zstd, ...rest] = stdout.trim().split('\n').reverse();
      expect(rest).toEqual(['lz4 true', 'snappy true', 'gzip true', 'none true']);
      expect(zstd).toMatch(hasZstd ? /^zstd true$/ : /^zstd .*run Node 22.15 or later/);
    }
    await using client = new Client({ bootstrapServers: cluster.bootstrapServers });
    const consumer = client.consumer({ autoOffsetReset: 'earliest' });
    consumer.assign([{ topic: 'codecs', partition: 0 }]);
    // What the fallbacks wrote, read by the native modules.
    expect((await consumer.poll(5_000)).slice(0, 4).map(({ key, value }) => `${key} ${value?.length}`)).toEqual([
      'none 100000',
      'gzip 100000',
      'snappy 100000',
      'lz4 100000',
    ]);
  });

  test('the entry for OpenTelemetry loads by both ways, and asks for its peer where that is missing', async () => {
    const required = "require('@naru/client/opentelemetry').instrument()()";
    const imported = "import { instrument } from '@naru/client/opentelemetry'; instrument()();";
    expect((await run(pinnedNode, ['-e', required], project)).stderr).toContain("'@opentelemetry/api'");
    await installFromRepository('@opentelemetry/api');
    for (const node of await nodes()) {
      expect(await run(node, ['-e', required], project)).toEqual({ status: 0, stdout: '', stderr: '' });
      expect(await run(node, ['--input-type=module', '-e', imported], project)).toEqual({
        status: 0,
        stdout: '',
        stderr: '',
      });
    }
  });

  test('every error is called as its class, also in the bundle', async () => {
    const program = `import * as sdk from '@naru/client';
      const classes = Object.entries(sdk).filter(([, one]) => typeof one === 'function' && one.prototype instanceof Error);
      console.log(classes.length, classes.filter(([name, one]) => name !== new one('', {}).name).map(([name]) => name));`;
    const output = await runOrThrow(pinnedNode, ['--input-type=module', '-e', program], project);
    expect(output).toMatch(/^\d\d \[\]\n$/);
  });

  test.each(['nodenext', 'bundler'])(
    'type-checks with moduleResolution %s, library files included',
    async (moduleResolution) => {
      await installFromRepository('@opentelemetry/api');
      await writeFile(join(project, 'consumer.ts'), typed);
      const compilerOptions = {
        strict: true,
        noEmit: true,
        exactOptionalPropertyTypes: true,
        target: 'es2023',
        module: moduleResolution === 'nodenext' ? 'nodenext' : 'esnext',
        moduleResolution,
        skipLibCheck: false,
        lib: ['es2023', 'esnext.disposable'],
        types: ['node'],
        typeRoots: [join(root, 'node_modules', '@types')],
      };
      await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
      const { stdout } = await run(
        pinnedNode,
        [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project],
        project,
      );
      expect(stdout).toBe('');
    },
  );
});

const codecsProgram = `
import { Client } from '@naru/client';

const client = new Client({ bootstrapServers: process.argv[2] });
await client.admin().createTopics([{ name: 'codecs', partitions: 1 }]);
const value = Buffer.from('some text that repeats. '.repeat(5_000).slice(0, 100_000));
const consumer = client.consumer();
for (const compressionType of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
  try {
    const producer = client.producer({ compressionType });
    const { offset } = await producer.send({ topic: 'codecs', key: compressionType, value });
    consumer.assign([{ topic: 'codecs', partition: 0 }]);
    consumer.seek({ topic: 'codecs', partition: 0 }, offset);
    const [record] = await consumer.poll(5_000);
    console.log(compressionType, record.value.equals(value));
  } catch (error) {
    console.log(compressionType, error.message);
  }
}
await client.close();
`;

/** What must not compile says so. */
const typed = `
import { Client, type ConsumerRecord, KafkaError, Producer, type ProducerRecord, type Serializer } from '@naru/client';
import { instrument, traced } from '@naru/client/opentelemetry';
import { startCluster, type TestCluster } from '@naru/testing';

const numbers: Serializer<number> = { serialize: (value) => Buffer.from(String(value)) };
const record: ProducerRecord<string, number> = { topic: 't', key: 'k', value: 1, headers: { trace: 'x' } };

export async function use(cluster: TestCluster): Promise<bigint> {
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers, clientId: 'app' });
  const producer: Producer<string, number> = client.producer<string, number>({ lingerMs: 0, value: numbers });
  try {
    await producer.send(record);
  } catch (error) {
    if (error instanceof KafkaError && error.outcome === 'definite') console.log(error.code, error.retriable);
  }
  const consumer = client.consumer({ 'group.id': 'g', autoOffsetReset: 'earliest' });
  consumer.subscribe(['t']);
  const stop: () => void = instrument();
  await consumer.run({}, traced(async ({ value }) => String(value)));
  stop();
  const [first]: ConsumerRecord[] = await consumer.poll(1_000);
  // @ts-expect-error: a value of another type
  await producer.send({ topic: 't', value: 'text' });
  // @ts-expect-error: an unknown setting
  client.producer({ lingerMillis: 5 });
  // @ts-expect-error: made by the client alone
  new Producer();
  return first?.offset ?? -1n;
}

export const started: Promise<TestCluster> = startCluster({ brokers: 1 });
`;

describe('the tarball of @naru/testing beside it', () => {
  beforeAll(async () => {
    for (const name of ['level', 'pino', 're2js']) await installFromRepository(name);
  });

  test.each([
    { name: 'cluster.mjs', program: () => clusterProgram },
    // As jest loads them.
    { name: 'cluster.cjs', program: () => commonJsOf(clusterProgram) },
  ])('runs a cluster and the client against it: $name', async ({ name, program }) => {
    await writeFile(join(project, name), program());
    for (const node of await nodes(22)) {
      const { status, stdout, stderr } = await run(node, [name], project);
      expect({ node, status, stdout, stderr }).toEqual({ node, status: 0, stdout: 'before after\n', stderr: '' });
    }
  });

  test("its example for Node's test runner passes", async () => {
    await copyFile(join(root, 'services/testing/examples/node.test.mjs'), join(project, 'node.test.mjs'));
    for (const node of await nodes(22)) {
      const { status, stdout } = await run(node, ['--test', '--test-reporter=tap', 'node.test.mjs'], project);
      expect({ node, status, stdout }).toEqual({ node, status: 0, stdout: expect.stringContaining('# pass 1') });
    }
  });
});

/** The same with the CommonJS bundles, which a Node that can require ES modules would not choose by itself. */
function commonJsOf(program: string): string {
  const body = program.replace(/^import \{ (\w+) \} from '(@naru\/\w+)';$/gm, (_all, name, from) => {
    return `const { ${name} } = require('./node_modules/${from}/dist/index.cjs');`;
  });
  return `(async () => {${body}})();\n`;
}

const clusterProgram = `
import { Client } from '@naru/client';
import { startCluster } from '@naru/testing';

const cluster = await startCluster({ brokers: 3 });
const client = new Client({ bootstrapServers: cluster.bootstrapServers });
await client.admin().createTopics([{ name: 't', partitions: 1, configs: { 'min.insync.replicas': 2 } }]);
const producer = client.producer({ lingerMs: 0 });
await producer.send({ topic: 't', value: 'before' });
const [{ leader }] = await producer.partitionsFor('t').then((found) => found.map((one) => ({ leader: one.leaderId })));
await cluster.kill(leader);
await producer.send({ topic: 't', value: 'after' });
const consumer = client.consumer({ autoOffsetReset: 'earliest' });
consumer.assign([{ topic: 't', partition: 0 }]);
const values = [];
while (values.length < 2) for (const { value } of await consumer.poll(1_000)) values.push(String(value));
console.log(values.join(' '));
await client.close();
await cluster.stop();
`;
