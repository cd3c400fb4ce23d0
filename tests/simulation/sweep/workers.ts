import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { RunReport } from '../swarm/run.ts';

const workerPath = fileURLToPath(new URL('./worker.ts', import.meta.url));

export interface WorkerOptions {
  readonly workers: number;
  /** For node, as `--import …`. */
  readonly execArgv?: readonly string[];
  /** Beside the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** The seeds to play, asked for one by one; undefined ends it. */
  readonly nextSeed: () => number | undefined;
  /** Aborted: the processes end, and the seeds that they play do not count. */
  readonly signal?: AbortSignal;
  /** False: enough. */
  readonly onReport: (report: RunReport) => boolean;
}

/** Plays seeds in processes of their own, until there are no more or enough is known. A process that dies is a failed seed. */
export async function playInWorkers({
  workers,
  execArgv = [],
  env,
  nextSeed,
  signal,
  onReport,
}: WorkerOptions): Promise<void> {
  let enough = false;
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const child = fork(workerPath, {
        // Young garbage of a run is much; more room for it, from the beginning, is a tenth of the time.
        execArgv: ['--min-semi-space-size=32', '--max-semi-space-size=32', ...execArgv],
        env: { ...process.env, ...env },
        stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      });
      const errors: Buffer[] = [];
      child.stderr?.on('data', (bytes: Buffer) => errors.push(bytes));
      let seed: number | undefined;
      const next = (): void => {
        seed = enough || signal?.aborted ? undefined : nextSeed();
        if (seed === undefined) child.disconnect();
        else child.send(seed);
      };
      child.on('message', (report: RunReport) => {
        enough ||= !onReport(report);
        next();
      });
      child.on('exit', () => {
        if (seed === undefined || signal?.aborted) return resolve();
        enough ||= !onReport(lost(seed, Buffer.concat(errors).toString()));
        // The rest of its seeds go on in a new process.
        void (enough ? undefined : one())?.then(resolve);
        if (enough) resolve();
      });
      stopWithParent(child, signal);
      next();
    });
  await Promise.all(Array.from({ length: workers }, one));
}

function stopWithParent(child: ChildProcess, signal: AbortSignal | undefined): void {
  const stop = (): void => {
    child.kill();
  };
  process.once('exit', stop);
  signal?.addEventListener('abort', stop);
  child.once('exit', () => {
    process.off('exit', stop);
    signal?.removeEventListener('abort', stop);
  });
}

function lost(seed: number, errors: string): RunReport {
  return {
    seed,
    traceHash: '',
    violation: { invariant: 'crash', message: `the process ended: ${errors.slice(-2_000)}` },
    simulatedMs: 0,
    events: 0,
    acked: 0,
    sent: 0,
    polled: 0,
    elections: 0,
    isrChanges: 0,
    truncations: 0,
    coordinatorTerms: 0,
    generations: 0,
    epochs: 0,
    protocolChanges: 0,
    commits: 0,
    cleaned: 0,
    registers: 0,
    faults: {},
    recoveredMs: -1,
  };
}
