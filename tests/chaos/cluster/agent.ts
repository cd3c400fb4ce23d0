import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

type Answer = { readonly id: number; readonly ok: boolean; readonly value?: number; readonly message?: string };

export interface AgentOptions {
  readonly script: URL;
  readonly commandPrefix: readonly string[];
  /** What it writes to standard error goes there. */
  readonly errorFile: string;
  /** What it says without having been asked. */
  readonly onMessage?: (message: object) => void;
  readonly onStarted: (pid: number) => void;
}

/** A helper process of the harness that stands at its own place in the network; requests and answers go over Node's IPC channel. */
export class Agent {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, { resolve(value: number): void; reject(error: Error): void }>();
  #nextId = 1;

  constructor({ script, commandPrefix, errorFile, onMessage, onStarted }: AgentOptions) {
    const command = [...commandPrefix, process.execPath, fileURLToPath(script)];
    this.#child = spawn(command[0] as string, command.slice(1), { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
    if (this.#child.pid !== undefined) onStarted(this.#child.pid);
    this.#child.stderr?.on('data', (text: Buffer) => appendFileSync(errorFile, text));
    this.#child.on('message', (message: Answer | object) => {
      if (!('id' in message)) {
        onMessage?.(message);
        return;
      }
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (message.ok) pending?.resolve(message.value ?? 0);
      else pending?.reject(new Error(message.message));
    });
    const gone = () => {
      for (const { reject } of this.#pending.values()) reject(new Error(`${fileURLToPath(script)} is gone`));
      this.#pending.clear();
    };
    this.#child.once('error', gone);
    this.#child.once('exit', gone);
  }

  ask(request: object): Promise<number> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#child.send({ id, ...request }, (error) => {
        if (error) reject(error);
      });
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Lets it end by itself, for a while. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    if (this.#child.connected) this.#child.disconnect();
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), 6_000);
    await ended;
    clearTimeout(killer);
  }
}
