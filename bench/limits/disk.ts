import { closeSync, fdatasync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { quantile } from '../report.ts';

const sync = promisify(fdatasync);

export interface DiskLimits {
  /** Bytes per second into the page cache, 128 KiB a write, one file. */
  readonly append: number;
  /** Bytes per second with an fdatasync after every mebibyte. */
  readonly appendAndSync: number;
  /** Median and 99th percentile of a 4 KiB append with fdatasync, milliseconds. */
  readonly sync50: number;
  readonly sync99: number;
}

export async function measureDisk(): Promise<DiskLimits> {
  const directory = mkdtempSync(join(tmpdir(), 'naru-limits-'));
  const file = openSync(join(directory, 'file'), 'w');
  const chunk = Buffer.alloc(131_072, 1);
  try {
    const append = await rate(file, 300_000_000, chunk, Number.POSITIVE_INFINITY);
    ftruncateSync(file, 0);
    const appendAndSync = await rate(file, 200_000_000, chunk, 8);
    const small = Buffer.alloc(4096, 1);
    const latencies = new Float64Array(1000);
    for (let i = 0; i < latencies.length; i++) {
      const began = performance.now();
      writeSync(file, small);
      await sync(file);
      latencies[i] = performance.now() - began;
    }
    latencies.sort();
    return { append, appendAndSync, sync50: quantile(latencies, 0.5), sync99: quantile(latencies, 0.99) };
  } finally {
    closeSync(file);
    rmSync(directory, { recursive: true });
  }
}

async function rate(file: number, totalBytes: number, chunk: Buffer, writesPerSync: number): Promise<number> {
  const began = performance.now();
  let written = 0;
  for (let i = 1; written < totalBytes; i++) {
    written += writeSync(file, chunk);
    if (i % writesPerSync === 0) await sync(file);
  }
  return (written / (performance.now() - began)) * 1000;
}
