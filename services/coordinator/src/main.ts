import { join } from 'node:path';
import process from 'node:process';
import { ConfigError, parseProperties } from '@naru/config';
import { createLogger, type Logger } from '@naru/observability';
import { formatAddress, isDiskError, type Runtime } from '@naru/runtime';
import { createNodeRuntime } from '@naru/runtime/node';
import { type Coordinator, createCoordinator } from './coordinator.ts';
import { type CoordinatorConfig, coordinatorConfigDefinition, parseCoordinatorConfig } from './coordinator-config.ts';

/**
 * Runs one coordinator until it is asked to end (SIGTERM, SIGINT, with --supervised also the end of standard input) or cannot go
 * on. Resolves with the exit status; every failure is one line on standard error.
 */
export async function main(argv: readonly string[]): Promise<number> {
  const runtime = createNodeRuntime();
  try {
    const options = parseArguments(argv);
    if (options.help) {
      process.stdout.write(helpText());
      return 0;
    }
    const config = await readConfig(runtime, options);
    await runtime.disk.makeDirectory(config['data.dir']);
    const logger = openLogger(config);
    const coordinator = await createCoordinator(runtime, config, { logger });
    return await serve(runtime, config, coordinator, logger, options.supervised);
  } catch (error) {
    process.stderr.write(`coordinator: ${oneLine(error)}\n`);
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
  for (let i = 0; i < argv.length; i += 1) {
    const argument = argv[i] as string;
    if (argument === '--help' || argument === '-h') help = true;
    else if (argument === '--supervised') supervised = true;
    else if (argument === '--config') config = argv[++i];
    else if (argument.startsWith('--config=')) config = argument.slice('--config='.length);
    else if (argument === '--override') override(argv[++i]);
    else if (argument.startsWith('--override=')) override(argument.slice('--override='.length));
    else if (/^--[^=]+=/.test(argument)) override(argument.slice(2));
    else throw new ConfigError('', `unknown argument '${argument}'; see --help`);
  }
  return { config, overrides, supervised, help };
}

async function readConfig(runtime: Runtime, { config, overrides }: Arguments): Promise<CoordinatorConfig> {
  const file = config === undefined ? {} : await readProperties(runtime, config);
  return parseCoordinatorConfig({ ...file, ...overrides });
}

async function readProperties(runtime: Runtime, path: string): Promise<Record<string, string>> {
  let bytes: Uint8Array;
  try {
    bytes = await runtime.disk.readFile(path);
  } catch (error) {
    throw new ConfigError('', isDiskError(error) ? error.message : `cannot read ${path}: ${(error as Error).message}`);
  }
  try {
    return parseProperties(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new ConfigError('', `${path}: ${(error as Error).message}`);
  }
}

function openLogger(config: CoordinatorConfig): Logger {
  const file = config['log.file'] ?? join(config['data.dir'], 'node.log');
  const name = `coordinator-${config['node.id']}`;
  return createLogger({ level: config['log.level'], name, ...(file === '-' ? {} : { file }) });
}

/** From here on the directory is ours: the process id tells others whom to signal. */
async function serve(
  runtime: Runtime,
  config: CoordinatorConfig,
  coordinator: Coordinator,
  logger: Logger,
  supervised: boolean,
): Promise<number> {
  const pidFile = join(config['data.dir'], 'node.pid');
  const end = endOf(coordinator, supervised);
  await runtime.disk.replaceFile(pidFile, Buffer.from(`${process.pid}\n`));
  process.stdout.write(`ready coordinator ${config['node.id']} on ${formatAddress(coordinator.clientAddress)}\n`);
  const reason = await end;
  if (reason instanceof Error) {
    // Nothing is closed in order: what is in memory is not to be trusted, what is on disk is all that counts.
    logger.error({ error: reason }, 'coordinator cannot go on');
    throw reason;
  }
  logger.info({ reason }, 'coordinator ends');
  await coordinator.close();
  await runtime.disk.remove(pidFile);
  return 0;
}

function endOf(coordinator: Coordinator, supervised: boolean): Promise<string | Error> {
  return new Promise((resolve) => {
    coordinator.onFailure(resolve);
    process.once('SIGTERM', () => resolve('SIGTERM'));
    process.once('SIGINT', () => resolve('SIGINT'));
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
  const lines = Object.entries(coordinatorConfigDefinition.settings).map(([key, setting]) => {
    const preset =
      'default' in setting && String(setting.default) !== '' ? ` (default ${String(setting.default)})` : '';
    return `  ${key.padEnd(30)} ${setting.doc}${preset}`;
  });
  return `usage: naru coordinator --config FILE [--override key=value …]\n\nSettings:\n${lines.join('\n')}\n`;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
