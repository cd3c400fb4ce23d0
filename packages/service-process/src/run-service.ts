import { join } from 'node:path';
import process from 'node:process';
import { ConfigError, type ConfigInput, parseProperties, type Settings } from '@naru/config';
import { createLogger, type Logger, type LogLevel } from '@naru/observability';
import { type Address, formatAddress, type Runtime, type Timer } from '@naru/runtime';
import { createNodeRuntime } from '@naru/runtime/node';
import { parseArguments, type ServiceArguments } from './arguments.ts';

/** What a process must know to run one node of a kind. */
export interface Service<Config> {
  /** `broker`, `coordinator`. */
  readonly name: string;
  /** For `--help`. */
  readonly settings: Settings;
  parse(input: ConfigInput): Config;
  nodeOf(config: Config): NodeIdentity;
  /** What whoever wrote the settings should know, in lines; for the terminal and the node's log. */
  remarksOn?(config: Config): readonly string[];
  /** Resolves when the node serves. */
  start(runtime: Runtime, config: Config, logger: Logger): Promise<RunningNode>;
  /** An orderly end that takes longer is given up: the next start then recovers as after a crash. */
  readonly closeTimeoutMs: number;
}

export interface NodeIdentity {
  readonly id: number;
  /** Holds `node.pid` and `node.log`. */
  readonly directory: string;
  readonly logLevel: LogLevel;
  /** Instead of `node.log`; `-` is standard output. */
  readonly logFile?: string | undefined;
}

export interface RunningNode {
  readonly clientAddress: Address;
  /** The node cannot go on: it must not be closed in order, since only what is on disk counts now. */
  onFailure(callback: (error: Error) => void): void;
  close(): Promise<void>;
}

/**
 * Runs one node until it is asked to end (SIGTERM, SIGINT, with `--supervised` also the end of standard input) or cannot go on. Resolves with
 * the exit status; every failure is one line on standard error.
 */
export async function runService<Config>(service: Service<Config>, argv: readonly string[]): Promise<number> {
  try {
    const options = parseArguments(argv);
    if (options.help) {
      process.stdout.write(helpText(service));
      return 0;
    }
    const runtime = createNodeRuntime();
    const config = service.parse({ ...(await readProperties(runtime, options)), ...options.overrides });
    return await runNode(service, runtime, config, askedToEnd(options.supervised));
  } catch (error) {
    process.stderr.write(`${service.name}: ${oneLine(error)}\n`);
    return 1;
  }
}

async function runNode<Config>(
  service: Service<Config>,
  runtime: Runtime,
  config: Config,
  asked: Promise<string>,
): Promise<number> {
  const { id, directory, logLevel, logFile = join(directory, 'node.log') } = service.nodeOf(config);
  await runtime.disk.makeDirectory(directory);
  const logger = createLogger({
    level: logLevel,
    name: `${service.name}-${id}`,
    ...(logFile === '-' ? {} : { file: logFile }),
  });
  for (const remark of service.remarksOn?.(config) ?? []) {
    process.stderr.write(`${service.name}: ${remark}\n`);
    logger.warn({}, remark);
  }
  const node = await Promise.race([service.start(runtime, config, logger), asked]);
  // Asked to end before it was ready: nothing was served that an orderly end would be for.
  if (typeof node === 'string') return 0;
  const failed = new Promise<Error>((resolve) => node.onFailure(resolve));
  // The directory is ours from here on: the process id tells others whom to signal.
  const pidFile = join(directory, 'node.pid');
  await runtime.disk.replaceFile(pidFile, Buffer.from(`${process.pid}\n`));
  process.stdout.write(`ready ${service.name} ${id} on ${formatAddress(node.clientAddress)}\n`);
  const reason = await Promise.race([asked, failed]);
  if (reason instanceof Error) {
    logger.error({ error: reason }, 'cannot go on');
    throw reason;
  }
  logger.info({ reason }, 'was asked to end');
  await within(runtime, service.closeTimeoutMs, node.close());
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

async function within(runtime: Runtime, limitMs: number, closing: Promise<void>): Promise<void> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = runtime.timers.after(limitMs, () => reject(new Error(`no orderly end within ${limitMs} ms`)));
  });
  try {
    await Promise.race([closing, late]);
  } finally {
    timer?.cancel();
  }
}

async function readProperties(runtime: Runtime, { config }: ServiceArguments): Promise<Record<string, string>> {
  if (config === undefined) return {};
  const bytes = await runtime.disk.readFile(config);
  try {
    return parseProperties(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new ConfigError('', `${config}: ${(error as Error).message}`);
  }
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ');
}

function helpText(service: Pick<Service<unknown>, 'name' | 'settings'>): string {
  const entries = Object.entries(service.settings);
  const width = Math.max(...entries.map(([key]) => key.length)) + 2;
  const lines = entries.map(([key, setting]) => {
    const preset =
      'default' in setting && String(setting.default) !== '' ? ` (default ${String(setting.default)})` : '';
    return `  ${key.padEnd(width)}${setting.doc}${preset}`;
  });
  const usage = `Usage: naru ${service.name} --config FILE [--override key=value …]`;
  return `Runs one ${service.name} in the foreground.\n\n${usage}\n\nSettings, in the file or over it:\n${lines.join('\n')}\n`;
}
