import type { Command, ConsumedRecord, ForeignClient, Result } from './foreign-client.ts';
import { Unavailable } from './foreign-client.ts';
import { type Output, run } from './processes.ts';

const cannot: Result = { unsupported: 'it does not administrate' };
/** Between key and value; in no key. */
const separator = '|';

/** kcat of the system's own packages: an old librdkafka (2.0.2 in Debian 12), which is choosy about versions. */
export const kcat: ForeignClient = {
  name: 'kcat',
  prepare: async () => {
    const { status } = await run('kcat', ['-V']);
    if (status !== 0) throw new Unavailable('kcat is not installed (apt-get install kcat)');
    return {
      run: async (servers, commands) => {
        const results: Result[] = [];
        for (const command of commands) results.push(await execute(servers, command));
        return results;
      },
    };
  },
};

async function execute(servers: string, command: Command): Promise<Result> {
  switch (command.do) {
    case 'version': {
      const { stdout } = await run('kcat', ['-V']);
      return { value: stdout.match(/Version [\d.]+|librdkafka [\d.]+/g)?.join(', ') ?? stdout };
    }
    case 'produce':
      return produce(servers, command);
    case 'consume':
      return consume(servers, command);
    case 'consumeInGroup':
      return consumeInGroup(servers, command);
    case 'offsets':
      return offsets(servers, command);
    case 'seek': {
      const place = ['-t', command.topic, '-p', String(command.partition), '-o', String(command.offset)];
      const output = await run('kcat', ['-b', servers, '-C', ...place, '-c', '1', '-e', '-q', '-J']);
      return resultOf(output, (stdout) => recordsOf(stdout)[0]?.offset);
    }
    case 'brokers':
      return resultOf(await run('kcat', ['-b', servers, '-L', '-J']), (stdout) => JSON.parse(stdout).brokers.length);
    case 'members':
      return { unsupported: 'each run is a member by itself' };
    default:
      return cannot;
  }
}

async function produce(servers: string, command: Extract<Command, { do: 'produce' }>): Promise<Result> {
  const { topic, acks, codec, idempotent, records } = command;
  const settings = [`acks=${acks}`, 'partitioner=murmur2_random', `enable.idempotence=${idempotent}`, 'linger.ms=5'];
  const argv = ['-b', servers, '-P', '-t', topic, '-K', separator, '-H', 'h=x', '-z', codec];
  for (const setting of settings) argv.push('-X', setting);
  const input = records.map(({ key, value }) => `${key}${separator}${value}\n`).join('');
  return resultOf(await run('kcat', argv, { input }), () => null);
}

async function consume(servers: string, command: Extract<Command, { do: 'consume' }>): Promise<Result> {
  // Without a group kcat reads every partition there is, each to its end.
  const argv = ['-b', servers, '-C', '-t', command.topic, '-o', 'beginning', '-e', '-q', '-J'];
  return resultOf(await run('kcat', argv), recordsOf);
}

async function consumeInGroup(servers: string, command: Extract<Command, { do: 'consumeInGroup' }>): Promise<Result> {
  const { topic, group, count, protocol } = command;
  if (protocol !== 'classic') return { unsupported: 'its librdkafka is older than KIP-848' };
  const argv = ['-b', servers, '-G', group, '-c', String(count), '-q', '-J', '-X', 'auto.offset.reset=earliest', topic];
  return resultOf(await run('kcat', argv, { timeoutMs: 20_000 }), recordsOf);
}

function recordsOf(stdout: string): ConsumedRecord[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { partition, offset, key, payload, headers } = JSON.parse(line);
      return { partition, offset, key, value: payload, headers: { [headers[0]]: headers[1] } };
    });
}

async function offsets(servers: string, command: Extract<Command, { do: 'offsets' }>): Promise<Result> {
  const { topic, partition, at } = command;
  const timestamp = at === 'latest' ? -1 : at === 'earliest' ? -2 : at;
  const output = await run('kcat', ['-b', servers, '-Q', '-t', `${topic}:${partition}:${timestamp}`]);
  return resultOf(output, (stdout) => Number(/offset (-?\d+)/.exec(stdout)?.[1]));
}

function resultOf({ status, stdout, stderr }: Output, value: (stdout: string) => unknown): Result {
  return status === 0 ? { value: value(stdout) } : { error: stderr.trim().slice(-300) };
}
