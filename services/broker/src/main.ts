import { join } from 'node:path';
import process from 'node:process';
import { ConfigError, parseProperties } from '@naru/config';
import { createLogger, type Logger, Metrics } from '@naru/observability';
import { formatAddress, type Runtime } from '@naru/runtime';
import { countBuffersInHeapLimit, createNodeRuntime } from '@naru/runtime/node';
import { type Broker, createBroker } from './broker.ts';
import { type BrokerConfig, brokerConfigDefinition, parseBrokerConfig } from './broker-config.ts';

/** An orderly end that takes longer is given up: the next start then recovers the logs as after a crash. */
const closeTimeoutMs = 25_000;

/**
 * Runs one broker until it is asked to end (SIGTERM, SIGINT, with --supervised also the end of standard input) or cannot go on. Resolves with the exit
 * status; every failure is one line on standard error.
 */
export async function main(argv: readonly string[]): Promise<number> {
  countBuffersInHeapLimit();
  const runtime = createNodeRuntime();
  try {
    const options = parseArguments(argv);
    if (options.help) {
      process.stdout.write(helpText());
      return 0;
    }
    const config = await readConfig(runtime, options);
    const directory = config['node.dir'] ?? config['log.dirs'];
    await runtime.disk.makeDirectory(directory);
    const logger = openLogger(config, directory);
    const asked = askedToEnd(options.supervised);
    const broker = await Promise.race([createBroker(runtime, config, { logger, metrics: new Metrics() }), asked]);
    // Asked to end before it was ready: nothing was served that an orderly end would be for.
    if (typeof broker === 'string') return 0;
    return await serve(runtime, { config, directory, broker, logger, asked });
  } catch (error) {
    process.stderr.write(`broker: ${oneLine(error)}\n`);
    return 1;
  }
}

interface Arguments {
  readonly config: string | undefined;
  readonly overrides: Readonly<Record<string, string>>;
  /** Standard input is a pipe from the starter: its end means that the starter is gone. */
  readonly supervised: boolean;
  readonly help: boolean;
}

function parseArguments(argv: readonly string[]): Arguments {
  const overrides: Record<string, string> = {};
  let config: string | undefined;
  let supervised = false;
  let help = false;
  const override = (text: string | undefined): void => {
    const match = /^([^=]+)=(.*)$/s.exec(text ?? '');
    if (match === null) throw new ConfigError('', '--override needs key=value');
    overrides[match[1] as string] = match[2] as string;
  };
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] as string;
    if (argument === '--help' || argument === '-h') help = true;
    else if (argument === '--supervised') supervised = true;
    else if (argument === '--config') {
      config = argv[++i];
      if (config === undefined) throw new ConfigError('', '--config needs a file');
    } else if (argument.startsWith('--config=')) config = argument.slice('--config='.length);
    else if (argument === '--override') override(argv[++i]);
    else if (argument.startsWith('--override=')) override(argument.slice('--override='.length));
    else if (/^--[^=]+=/.test(argument)) override(argument.slice(2));
    else throw new ConfigError('', `unknown argument '${argument}'; see --help`);
  }
  return { config, overrides, supervised, help };
}

async function readConfig(runtime: Runtime, { config, overrides }: Arguments): Promise<BrokerConfig> {
  const file = config === undefined ? {} : await readProperties(runtime, config);
  return parseBrokerConfig({ ...file, ...overrides });
}

async function readProperties(runtime: Runtime, path: string): Promise<Record<string, string>> {
  let bytes: Uint8Array;
  try {
    bytes = await runtime.disk.readFile(path);
  } catch (error) {
    throw new ConfigError('', `cannot read ${path}: ${(error as Error).message}`);
  }
  try {
    return parseProperties(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new ConfigError('', `${path}: ${(error as Error).message}`);
  }
}

function openLogger(config: BrokerConfig, directory: string): Logger {
  return createLogger({
    level: config['log.level'],
    name: `broker-${config['broker.id']}`,
    file: join(directory, 'node.log'),
  });
}

interface Service {
  readonly config: BrokerConfig;
  readonly directory: string;
  readonly broker: Broker;
  readonly logger: Logger;
  readonly asked: Promise<string>;
}

/** From here on the directory is ours: the process id tells others whom to signal. */
async function serve(runtime: Runtime, { config, directory, broker, logger, asked }: Service): Promise<number> {
  const failed = new Promise<Error>((resolve) => broker.onFailure(resolve));
  const pidFile = join(directory, 'node.pid');
  await runtime.disk.replaceFile(pidFile, Buffer.from(`${process.pid}\n`));
  process.stdout.write(`ready broker ${config['broker.id']} on ${formatAddress(broker.clientAddress)}\n`);
  const reason = await Promise.race([asked, failed]);
  if (reason instanceof Error) {
    // Nothing is closed in order: only what is on disk counts, and the next start looks at all of it.
    logger.error({ error: reason }, 'broker cannot go on');
    throw reason;
  }
  logger.info({ reason }, 'broker was asked to end');
  const closed = broker.close({ controlled: true }).then(() => true);
  const timedOut = new Promise<false>((resolve) => runtime.timers.after(closeTimeoutMs, () => resolve(false)));
  if (!(await Promise.race([closed, timedOut]))) throw new Error(`no orderly end within ${closeTimeoutMs} ms`);
  await runtime.disk.remove(pidFile);
  return 0;
}

/** A second signal does not wait for the order of the first. */
function askedToEnd(supervised: boolean): Promise<string> {
  return new Promise((resolve) => {
    let signals = 0;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (++signals > 1) process.exit(1);
        resolve(signal);
      });
    }
    if (!supervised) return;
    process.stdin.on('error', () => resolve('the starter is gone'));
    process.stdin.once('end', () => resolve('the starter is gone'));
    process.stdin.resume();
    process.stdin.unref?.();
  });
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ');
}

function helpText(): string {
  const lines = Object.entries(brokerConfigDefinition.settings).map(([key, setting]) => {
    const preset =
      'default' in setting && String(setting.default) !== '' ? ` (default ${String(setting.default)})` : '';
    return `  ${key.padEnd(42)} ${setting.doc}${preset}`;
  });
  return `usage: naru broker --config FILE [--override key=value …]\n\nSettings:\n${lines.join('\n')}\n`;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
