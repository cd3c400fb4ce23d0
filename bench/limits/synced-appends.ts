import { closeSync, fdatasync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { quantile } from '../report.ts';

const sync = promisify(fdatasync);
/** Files of one record: as many as a partition has replicas. */
const replicas = 3;
/** A batch with one record of 100 B. */
const batch = Buffer.alloc(170, 1);
const secondsPerSide = 4;

/** Milliseconds. */
export interface DiskDelay {
  readonly p50: number;
  readonly p99: number;
}

/**
 * Runs `measure`, and before and after it the same work by the disk alone: small batches at the same rate, each appended to three files and synced in all of
 * them. Beside it and not earlier, because a disk is as quick as what it has to do besides: while the kernel writes back what others have left in the page
 * cache, a sync takes a hundred times as long.
 */
export async function besideTheDisk<T>(perSecond: number, measure: () => Promise<T>): Promise<[T, DiskDelay]> {
  const before = await syncedAppends(perSecond);
  const measured = await measure();
  const delays = Float64Array.from([...before, ...(await syncedAppends(perSecond))]).sort();
  return [measured, { p50: quantile(delays, 0.5), p99: quantile(delays, 0.99) }];
}

/** From the moment at which each append was due until it was synced in every file, milliseconds. */
async function syncedAppends(perSecond: number): Promise<readonly number[]> {
  const directory = mkdtempSync(join(tmpdir(), 'naru-limits-'));
  const files = Array.from({ length: replicas }, (_, i) => new SyncedFile(join(directory, String(i)), () => settle()));
  const due: number[] = [];
  const delays: number[] = [];
  const settle = (): void => {
    const synced = Math.min(...files.map((file) => file.synced));
    while (delays.length < synced) delays.push(performance.now() - (due[delays.length] as number));
  };
  const began = performance.now();
  for (let seconds = 0; seconds < secondsPerSide; ) {
    seconds = (performance.now() - began) / 1_000;
    const count = Math.floor(seconds * perSecond) + 1;
    while (due.length < count) due.push(began + (due.length * 1_000) / perSecond);
    for (const file of files) file.appendUpTo(count);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (delays.length < due.length) await new Promise((resolve) => setTimeout(resolve, 1));
  for (const file of files) file.close();
  rmSync(directory, { recursive: true });
  return delays;
}

/** One sync at a time, for everything that was appended before it began. */
class SyncedFile {
  readonly #descriptor: number;
  readonly #onSynced: () => void;
  #appended = 0;
  #isSyncing = false;
  synced = 0;

  constructor(path: string, onSynced: () => void) {
    this.#descriptor = openSync(path, 'w');
    this.#onSynced = onSynced;
  }

  appendUpTo(count: number): void {
    for (; this.#appended < count; this.#appended++) writeSync(this.#descriptor, batch);
    void this.#sync();
  }

  async #sync(): Promise<void> {
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    while (this.synced < this.#appended) {
      const target = this.#appended;
      await sync(this.#descriptor);
      this.synced = target;
      this.#onSynced();
    }
    this.#isSyncing = false;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
