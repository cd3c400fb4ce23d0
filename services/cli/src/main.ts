import { closest } from '@naru/config';
import { type Command, CommandError } from './command.ts';
import { formatHelp, UsageError } from './flags.ts';

/** Every sub-command, loaded only when it is called: `naru topics` should not wait for the perf tests to be parsed. */
const commands: Readonly<Record<string, { summary: string; load: () => Promise<{ command: Command }> }>> = {
  cluster: {
    summary: 'start, stop and look at a cluster on this machine',
    load: () => import('./commands/cluster.ts'),
  },
  topics: { summary: 'create, delete, describe, list or alter topics', load: () => import('./commands/topics.ts') },
  configs: {
    summary: 'show and change settings of topics and brokers',
    load: () => import('./commands/configs.ts'),
  },
  'console-producer': {
    summary: 'send lines of standard input to a topic',
    load: () => import('./commands/console-producer.ts'),
  },
  'console-consumer': { summary: 'print the records of a topic', load: () => import('./commands/console-consumer.ts') },
  'consumer-groups': {
    summary: 'list, describe and delete groups, set their offsets',
    load: () => import('./commands/consumer-groups.ts'),
  },
  'get-offsets': { summary: 'print the offsets of partitions', load: () => import('./commands/get-offsets.ts') },
  'reassign-partitions': {
    summary: 'move partitions to other brokers',
    load: () => import('./commands/reassign-partitions.ts'),
  },
  'leader-election': {
    summary: 'elect preferred leaders, or any live replica',
    load: () => import('./commands/leader-election.ts'),
  },
  'delete-records': {
    summary: 'delete the records below an offset',
    load: () => import('./commands/delete-records.ts'),
  },
  'log-dirs': {
    summary: 'print what the log directories of brokers hold',
    load: () => import('./commands/log-dirs.ts'),
  },
  'dump-log': { summary: "print what stands in a log's files", load: () => import('./commands/dump-log.ts') },
  'producer-perf-test': { summary: 'measure producing', load: () => import('./commands/producer-perf-test.ts') },
  'consumer-perf-test': { summary: 'measure consuming', load: () => import('./commands/consumer-perf-test.ts') },
  'verifiable-producer': {
    summary: 'produce numbers, tell what became of each as JSON',
    load: () => import('./commands/verifiable-producer.ts'),
  },
  'verifiable-consumer': {
    summary: 'read as a member of a group, tell what happens as JSON',
    load: () => import('./commands/verifiable-consumer.ts'),
  },
  broker: {
    summary: 'run one broker',
    load: () => import('./commands/node.ts').then((m) => ({ command: m.brokerCommand })),
  },
  coordinator: {
    summary: 'run one coordinator',
    load: () => import('./commands/node.ts').then((m) => ({ command: m.coordinatorCommand })),
  },
};

const version = '0.1.0';

/** The reader of the output is gone. */
let hasSeenEnough = false;

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    process.stderr.write(overview());
    return 1;
  }
  if (name === '--help' || name === 'help') {
    process.stdout.write(overview());
    return 0;
  }
  if (name === '--version') {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) {
    const suggestion = closest(name, Object.keys(commands));
    return fail(
      `unknown command '${name}'${suggestion === undefined ? '' : `; did you mean '${suggestion}'?`} (naru --help lists them)`,
    );
  }
  const { command } = await entry.load();
  if (rest.includes('--help') && !command.isPassedThrough) {
    process.stdout.write(formatHelp(command.usage, command.summary, command.flags));
    return 0;
  }
  if (rest.includes('--version')) {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    if (hasSeenEnough) return 0;
    if (error instanceof UsageError) return fail(`${error.message} (naru ${name} --help shows the flags)`);
    return fail(oneLine(error));
  }
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2;
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}${summary}`);
  return `Naru: a replicated commit log with Kafka's semantics.\n\nUsage: naru <command> [flags]\n\n${rows.join('\n')}\n\nnaru <command> --help shows the flags of a command.\n`;
}

/** The message of an expected failure; a bug keeps its stack when NARU_DEBUG is set. */
function oneLine(error: unknown): string {
  if (process.env.NARU_DEBUG !== undefined && error instanceof Error) return error.stack ?? error.message;
  if (error instanceof CommandError) return error.message;
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0] as string;
}

function fail(message: string): number {
  process.stderr.write(`${message}\n`);
  return 1;
}

// `naru console-consumer | head` closes the pipe: that is an end, not a failure. Who has something to put in order, a membership or records under way, does
// so as with Ctrl-C.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (hasSeenEnough) return;
  if (error.code !== 'EPIPE') process.exit(1);
  hasSeenEnough = true;
  if (!process.emit('SIGINT')) process.exit(0);
});
// Nobody is left to be told.
process.stderr.on('error', () => {});

process.exitCode = await main(process.argv.slice(2));
