import { type ChildProcess, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NodeLayout } from './layout.ts';

export type NodeState = 'starting' | 'running' | 'down';

export interface NodeStatus {
  readonly name: string;
  readonly state: NodeState;
  readonly pid: number | undefined;
  /** Why it is down, in one line. */
  readonly reason: string | undefined;
}

export interface NodeStart {
  readonly node: NodeLayout;
  readonly properties: string;
  /** The node went down without having been asked to. */
  readonly onDeath: (status: NodeStatus) => void;
}

/**
 * Compiled code is kept beside the Node that the project pins, so that a node starts in half the time from the second start on.
 */
const compileCache = join(dirname(process.execPath), '../../.cache/naru');

/** How long a node may take for an orderly end before it is killed, milliseconds. */
const stopTimeoutMs = 30_000;

/**
 * One child process of a local cluster. Its standard input is a pipe that nobody writes to: when the starter dies, however it dies, the
 * pipe ends and the child stops by itself, so that no cluster is left behind without its terminal.
 */
export class NodeProcess {
  readonly name: string;
  readonly #start: NodeStart;
  #child: ChildProcess | undefined;
  #state: NodeState = 'down';
  #reason: string | undefined;
  #stopping = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(start: NodeStart) {
    this.name = start.node.name;
    this.#start = start;
  }

  get status(): NodeStatus {
    const pid = this.#state === 'down' ? undefined : this.#child?.pid;
    return { name: this.name, state: this.#state, pid, reason: this.#reason };
  }

  /** Resolves when the node serves; rejects with the line that it printed when it ends before. */
  async start(): Promise<void> {
    if (this.#state !== 'down') throw new Error(`${this.name} is ${this.#state} already`);
    const child = spawn(
      process.execPath,
      [mainFile(this.#start.node), '--config', this.#start.properties, '--supervised'],
      {
        stdio: ['pipe', 'pipe', 'pipe'],
        // A process group of its own: Ctrl-C in the terminal is for the starter, which then stops the nodes in order.
        detached: true,
        env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
      },
    );
    this.#child = child;
    this.#state = 'starting';
    this.#reason = undefined;
    this.#stopping = false;
    let lastLine = '';
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      if (line.trim() !== '') lastLine = line.trim();
    });
    this.#ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        const wasRunning = this.#state === 'running';
        this.#state = 'down';
        this.#reason = describeEnd(code, signal, lastLine);
        if (wasRunning && !this.#stopping) this.#start.onDeath({ ...this.status, pid: child.pid });
        resolve();
      });
      child.once('error', (error) => {
        lastLine = error.message;
      });
    });
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
        if (!line.startsWith('ready') || this.#state !== 'starting') return;
        this.#state = 'running';
        resolve();
      });
      void this.#ended.then(() => reject(new Error(`${this.name} did not start: ${lastLine || this.#reason}`)));
    });
  }

  /** SIGTERM, then SIGKILL after the time limit. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || this.#state === 'down') return;
    this.#stopping = true;
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
    await this.#ended;
    clearTimeout(killer);
  }
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null, lastLine: string): string {
  if (signal !== null) return `killed by ${signal}`;
  const detail = code !== 0 && lastLine !== '' ? `: ${lastLine}` : '';
  return `ended with status ${code}${detail}`;
}

function mainFile(node: NodeLayout): string {
  return fileURLToPath(import.meta.resolve(node.kind === 'broker' ? '@naru/broker/main' : '@naru/coordinator/main'));
}
