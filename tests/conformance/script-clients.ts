import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command, ForeignClient, PreparedClient, Result } from './foreign-client.ts';
import { builtAddon, npmPackages, pythonPackages } from './installed.ts';
import { run } from './processes.ts';

const drivers = join(dirname(fileURLToPath(import.meta.url)), 'drivers');

/** Clients of languages with a driver script: commands go in as JSON, results come out as JSON. */
export const scriptClients: readonly ForeignClient[] = [
  fromNpm('kafkajs', ['kafkajs', 'kafkajs-snappy']),
  fromNpm('platformatic', ['@platformatic/kafka@2', 'lz4-napi', 'snappy']),
  nodeRdkafka(),
  fromPyPi('confluent', ['confluent-kafka']),
  // Its own codecs are optional packages.
  fromPyPi('kafka_python', ['kafka-python', 'lz4', 'python-snappy', 'zstandard']),
];

function fromNpm(name: string, packages: readonly string[]): ForeignClient {
  return {
    name,
    prepare: async () => {
      const modules = await npmPackages(name, packages);
      return script(process.execPath, `${name}.mjs`, { CONFORMANCE_MODULES: modules });
    },
  };
}

/** Its package contains librdkafka's source; what it would download otherwise is not wanted here. Runs on the Node that is installed, whose headers it is built with. */
function nodeRdkafka(): ForeignClient {
  return {
    name: 'node_rdkafka',
    prepare: async () => {
      const modules = await npmPackages('node_rdkafka', ['node-rdkafka']);
      const node = await builtAddon(modules, 'node-rdkafka');
      return script(node, 'node_rdkafka.mjs', { CONFORMANCE_MODULES: modules });
    },
  };
}

function fromPyPi(name: string, packages: readonly string[]): ForeignClient {
  return { name, prepare: async () => script(await pythonPackages(name, packages), `${name}.py`, {}) };
}

function script(program: string, file: string, env: Readonly<Record<string, string>>): PreparedClient {
  return {
    run: async (servers: string, commands: readonly Command[]): Promise<readonly Result[]> => {
      const input = JSON.stringify({ servers, commands });
      const { status, stdout, stderr } = await run(program, [join(drivers, file)], { input, env, timeoutMs: 120_000 });
      try {
        return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Result[];
      } catch {
        throw new Error(`${file} ended with ${status}: ${stderr.trim().slice(-500)}`);
      }
    },
  };
}
