import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export type NodeKind = 'broker' | 'coordinator';

export interface NodeOptions {
  readonly name: string;
  readonly kind: NodeKind;
  readonly id: number;
  readonly directory: string;
  readonly properties: string;
  readonly commandPrefix: readonly string[];
  /** Environment variables that only this process has. */
  readonly environment: Readonly<Record<string, string>>;
  readonly onStarted: (pid: number) => void;
}

const startTimeoutMs = 60_000;
const stopTimeoutMs = 30_000;

/**
 * One broker or coordinator as a process of its own. Its standard input is a pipe that nobody writes to: if the harness dies, it ends by
 * itself.
 */
export class ChaosNode {
  readonly options: NodeOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #reason = 'never started';

  constructor(options: NodeOptions) {
    this.options = options;
  }

  get name(): string {
    return this.options.name;
  }

  get isUp(): boolean {
    return this.#child !== undefined;
  }

  /** Why it is down. */
  get reason(): string {
    return this.#reason;
  }

  /** Resolves when it serves; rejects with the line that it printed when it ends before or takes too long. */
  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`);
    const { commandPrefix, environment, properties, kind } = this.options;
    const variables = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
    const command = [
      ...commandPrefix,
      ...(variables.length > 0 ? ['env', ...variables] : []),
      process.execPath,
      fileURLToPath(import.meta.resolve(kind === 'broker' ? '@naru/broker/main' : '@naru/coordinator/main')),
      '--config',
      properties,
      '--supervised',
    ];
    const child = spawn(command[0] as string, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    let lastLine = '';
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      if (line.trim() !== '') lastLine = line.trim();
      appendFileSync(join(this.options.directory, 'stderr.txt'), `${line}\n`);
    });
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => {
        lastLine = error.message;
      });
      child.once('close', (code, signal) => {
        this.#child = undefined;
        this.#reason = signal === null ? `ended with status ${code}: ${lastLine}` : `killed by ${signal}`;
        resolve();
      });
    });
    if (child.pid !== undefined) this.options.onStarted(child.pid);
    await this.#ready(child, () => lastLine);
  }

  #ready(child: ChildProcess, lastLine: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`${this.name} did not serve within ${startTimeoutMs} ms: ${lastLine()}`));
      }, startTimeoutMs);
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
        if (!line.startsWith('ready')) return;
        clearTimeout(timer);
        resolve();
      });
      void this.#ended.then(() => {
        clearTimeout(timer);
        reject(new Error(`${this.name} did not start: ${lastLine() || this.#reason}`));
      });
    });
  }

  /** SIGSTOP and SIGCONT; nothing when it is down. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  /** Resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }

  /** SIGTERM; after the time limit SIGKILL. Says whether the end was orderly. */
  async stop(): Promise<boolean> {
    const child = this.#child;
    if (child === undefined) return true;
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
    await this.#ended;
    clearTimeout(killer);
    return this.#reason.startsWith('ended with status 0');
  }
}
