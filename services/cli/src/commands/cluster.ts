import { askControl } from '../cluster/control.ts';
import { bootstrapServers, brokersMax, type ClusterLayout, coordinatorsMax } from '../cluster/layout.ts';
import { readLayout, Supervisor } from '../cluster/supervisor.ts';
import { type Command, CommandError } from '../command.ts';
import { type FlagValues, keyValues, parseFlags, UsageError, wholeNumber } from '../flags.ts';

const flags = {
  brokers: { kind: 'value', value: 'count', default: '3', doc: 'start: how many brokers' },
  coordinators: { kind: 'value', value: 'count', default: '3', doc: 'start: how many coordinators; odd' },
  'data-dir': { kind: 'value', value: 'directory', default: '.naru', doc: 'where the nodes keep their data' },
  'port-offset': { kind: 'value', value: 'number', default: '0', doc: 'start: added to every port (9092, 2181, …)' },
  override: { kind: 'list', value: 'key=value', doc: 'start: a setting for every broker' },
} as const;

export const command: Command<typeof flags> = {
  name: 'cluster',
  summary: 'A whole cluster on this machine, each node a process of its own.',
  usage: `naru cluster start [--brokers 3] [--coordinators 3] [--data-dir .naru] [--port-offset 0]
       naru cluster status [--data-dir .naru]
       naru cluster restart <node> [--data-dir .naru]     for example broker-2; all: every node that is down
       naru cluster stop [--data-dir .naru]`,
  flags,
  run: async (argv) => {
    const { values, positional } = parseFlags(flags, argv, 2);
    const [action, node] = positional;
    if (node !== undefined && action !== 'restart') throw new UsageError(`unexpected argument '${node}'`);
    switch (action) {
      case 'start':
        return start(values);
      case 'status':
        return (await import('../cluster/status.ts')).printStatus(values['data-dir']);
      case 'restart':
        return restart(values['data-dir'], node);
      case 'stop':
        return stop(values['data-dir']);
      default:
        throw new UsageError(
          action === undefined
            ? 'what shall the cluster do: start, status, restart or stop?'
            : `unknown action '${action}'`,
        );
    }
  },
};

async function start(values: FlagValues<typeof flags>): Promise<number> {
  const dataDirectory = values['data-dir'];
  const layout: ClusterLayout = {
    version: 1,
    brokers: wholeNumber('brokers', values.brokers, 1, brokersMax),
    coordinators: wholeNumber('coordinators', values.coordinators, 1, coordinatorsMax),
    portOffset: wholeNumber('port-offset', values['port-offset'], 0, 50_000),
  };
  const began = performance.now();
  const signal = nextSignal();
  let stopRequested: (() => void) | undefined;
  const stopRequest = new Promise<void>((resolve) => {
    stopRequested = resolve;
  });
  const starting = Supervisor.start({
    dataDirectory,
    layout,
    brokerSettings: keyValues('override', values.override),
    onDeath: (status) => {
      const { name, pid, reason } = status;
      process.stderr.write(
        `${name} (pid ${pid}) ${reason}; it stays down until: naru cluster restart ${name}${dataDirFlag(dataDirectory)}\n`,
      );
    },
    onStopRequested: () => stopRequested?.(),
  });
  const supervisor = await starting;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  process.stdout.write(
    `Naru is ready after ${seconds} s: ${layout.brokers} brokers, ${layout.coordinators} coordinators, data in ${dataDirectory}; bootstrap servers: ${bootstrapServers(layout)}\n`,
  );
  const requested = await Promise.race([signal, stopRequest]);
  if (requested !== undefined) process.stderr.write(`${requested}: stopping\n`);
  await supervisor.stop();
  return 0;
}

/** The first SIGINT or SIGTERM; a second one ends at once. */
function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    let seen = false;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (seen) process.exit(130);
        seen = true;
        resolve(signal);
      });
    }
  });
}

async function restart(dataDirectory: string, node: string | undefined): Promise<number> {
  if (node === undefined) throw new UsageError('which node? for example: naru cluster restart broker-2');
  const current = await askControl(dataDirectory, { command: 'status' });
  if (!current?.ok) throw notRunning(dataDirectory);
  const names =
    node === 'all' ? current.nodes.filter((status) => status.state === 'down').map((status) => status.name) : [node];
  const responses = await Promise.all(
    names.map((name) => askControl(dataDirectory, { command: 'restart', node: name })),
  );
  for (const [i, response] of responses.entries()) {
    if (response === undefined) throw notRunning(dataDirectory);
    if (!response.ok) throw new CommandError(response.message);
    const status = response.nodes.find((candidate) => candidate.name === names[i]);
    process.stdout.write(`${names[i]} is running (pid ${status?.pid})\n`);
  }
  return 0;
}

async function stop(dataDirectory: string): Promise<number> {
  const response = await askControl(dataDirectory, { command: 'stop' });
  if (response === undefined) throw notRunning(dataDirectory);
  if (!response.ok) throw new CommandError(response.message);
  process.stdout.write('stopped\n');
  return 0;
}

export function notRunning(dataDirectory: string): CommandError {
  const known = readLayout(dataDirectory);
  return new CommandError(
    known === undefined
      ? `no cluster was ever started in ${dataDirectory}; start one with: naru cluster start${dataDirFlag(dataDirectory)}`
      : `the cluster in ${dataDirectory} is not running; start it with: naru cluster start${dataDirFlag(dataDirectory)}`,
  );
}

function dataDirFlag(dataDirectory: string): string {
  return dataDirectory === flags['data-dir'].default ? '' : ` --data-dir ${dataDirectory}`;
}
