import type { Logger } from '@naru/observability';
import { RecordError } from '@naru/record';
import { isDiskError, type Runtime, sleep } from '@naru/runtime';
import { type Dirt, findDirt } from './cleaner-dirt.ts';
import { CleaningPass, type PassResult } from './cleaner-pass.ts';
import { isCompacted } from './log-config.ts';
import { StorageError } from './log-errors.ts';
import type { PartitionLog } from './partition-log.ts';

/** How far the I/O limit looks back, milliseconds. */
const throttleWindowMs = 1_000;

export interface CleanerSettings {
  /** `log.cleaner.backoff.ms`: pause after a round that found nothing more to clean. */
  readonly backoffMs: number;
  /** `log.cleaner.dedupe.buffer.size`: memory of the offset map at most. */
  readonly dedupeBufferBytes: number;
  /** `log.cleaner.io.max.bytes.per.second`. */
  readonly ioBytesPerSecondMax: number;
}

/** Where logs were cleaned to, for the next start: `cleaner-offset-checkpoint`. */
export interface CleanerCheckpoint {
  /** 0 when nothing is known: then everything is dirty, which is always safe. */
  cleanedTo(log: PartitionLog): number;
  /** Only after the swaps are durable. */
  logCleaned(log: PartitionLog, offset: number): Promise<void>;
}

export interface LogCleanerOptions {
  readonly runtime: Pick<Runtime, 'clock' | 'timers'>;
  readonly logger: Logger;
  readonly logs: () => Iterable<PartitionLog>;
  readonly checkpointOf: (log: PartitionLog) => CleanerCheckpoint | undefined;
  readonly highWatermarkOf: (log: PartitionLog) => number | undefined;
  readonly settings: CleanerSettings;
}

/** For metrics; counts since the start. */
export interface CleanerCounts {
  passes: number;
  readBytes: number;
  /** Of the segments that were cleaned, before and after. */
  bytesBefore: number;
  bytesAfter: number;
  /** Logs that cannot be cleaned until the next start. */
  uncleanable: number;
  /** Dirty share of the dirtiest log that was seen last. */
  maxDirtyRatio: number;
}

class Stopped extends Error {}

/**
 * Compacts logs, one at a time, the dirtiest first; one for all logs of a broker. It works in slices between which everybody else runs, and on
 * closed segments of committed records only; the one moment in which a log waits for it is the swap of files.
 */
export class LogCleaner {
  readonly counts: CleanerCounts = {
    passes: 0,
    readBytes: 0,
    bytesBefore: 0,
    bytesAfter: 0,
    uncleanable: 0,
    maxDirtyRatio: 0,
  };
  readonly #options: LogCleanerOptions;
  readonly #uncleanable = new WeakSet<PartitionLog>();
  #isStopped = false;
  #round: Promise<void> | undefined;
  readonly #stopping = new AbortController();
  #windowBytes = 0;
  #windowStartMs = 0;

  constructor(options: LogCleanerOptions) {
    this.#options = options;
  }

  /** Cleans until no log is dirty enough. A call while a round runs joins it. Never rejects. */
  clean(): Promise<void> {
    this.#round ??= this.#cleanAll()
      .catch((error: unknown) => {
        if (!(error instanceof Stopped)) this.#options.logger.error({ error }, 'cleaning failed');
      })
      .finally(() => {
        this.#round = undefined;
      });
    return this.#round;
  }

  /** Gives up what is not swapped yet; resolves when nothing is touched any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopping.abort(new Stopped());
    await this.#round;
  }

  async #cleanAll(): Promise<void> {
    await this.#closeOldSegments();
    // A pass always gets further, or the log is passed over in this round: it ends.
    const overtaken = new Set<PartitionLog>();
    for (let dirt = await this.#dirtiest(overtaken); dirt !== undefined; dirt = await this.#dirtiest(overtaken)) {
      if (!(await this.#cleanLog(dirt))) overtaken.add(dirt.log);
    }
  }

  /** A log that nobody writes to any more would otherwise never be cleaned to its end. */
  async #closeOldSegments(): Promise<void> {
    for (const log of [...this.#options.logs()]) {
      if (!isCompacted(log.config)) continue;
      try {
        if (log.rollWhenOld(this.#options.runtime.clock.wallMs())) await log.flush();
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
      }
    }
  }

  async #dirtiest(except: ReadonlySet<PartitionLog>): Promise<Dirt | undefined> {
    const { logs, checkpointOf, highWatermarkOf, runtime } = this.#options;
    let best: Dirt | undefined;
    this.counts.maxDirtyRatio = 0;
    for (const log of [...logs()]) {
      if (this.#isStopped) throw new Stopped();
      const highWatermark = isCompacted(log.config) ? highWatermarkOf(log) : undefined;
      const cleanedTo = checkpointOf(log)?.cleanedTo(log);
      if (highWatermark === undefined || cleanedTo === undefined || except.has(log) || this.#uncleanable.has(log)) {
        continue;
      }
      const bounds = { highWatermark, cleanedTo, nowMs: runtime.clock.wallMs() };
      const dirt = await this.#guarded(log, () => findDirt(log, bounds));
      if (dirt === undefined) continue;
      this.counts.maxDirtyRatio = Math.max(this.counts.maxDirtyRatio, dirt.ratio);
      if (dirt.mustClean && dirt.ratio > (best?.ratio ?? -1)) best = dirt;
    }
    return best;
  }

  /** False when it should not be tried again in this round. */
  async #cleanLog(dirt: Dirt): Promise<boolean> {
    const { log } = dirt;
    const { runtime, settings, logger, checkpointOf } = this.#options;
    const startMs = runtime.clock.monotonicMs();
    const pass = new CleaningPass(dirt, {
      mapBytesMax: settings.dedupeBufferBytes,
      nowMs: runtime.clock.wallMs(),
      turn: () => this.#turn(),
      throttle: (readBytes) => this.#throttle(readBytes),
    });
    const result = await this.#guarded(log, () => pass.run());
    if (result === undefined || result.kind === 'overtaken') return false;
    if (result.kind === 'damaged') {
      log.reportDamage(result.damage);
      return false;
    }
    this.#count(result);
    const { endOffset, bytesBefore, bytesAfter } = result;
    await this.#guarded(log, async () => checkpointOf(log)?.logCleaned(log, endOffset));
    const tookMs = Math.round(runtime.clock.monotonicMs() - startMs);
    logger.info({ directory: log.directory, endOffset, bytesBefore, bytesAfter, tookMs }, 'log cleaned');
    return endOffset > dirt.firstDirtyOffset;
  }

  #count(result: PassResult & { readonly kind: 'cleaned' }): void {
    this.counts.passes++;
    this.counts.readBytes += result.readBytes;
    this.counts.bytesBefore += result.bytesBefore;
    this.counts.bytesAfter += result.bytesAfter;
  }

  /** Undefined when the work failed in a way that concerns this log only. */
  async #guarded<T>(log: PartitionLog, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const { logger } = this.#options;
      const { directory } = log;
      if (log.state.kind === 'closed' || log.state.kind === 'failed') return undefined;
      if (error instanceof RecordError) {
        // Whatever is done to the other records could bring back what this batch replaces or deletes.
        logger.error({ error, directory }, 'a batch cannot be read; the log is not compacted until the next start');
        this.#uncleanable.add(log);
        this.counts.uncleanable++;
      } else if (isDiskError(error, 'full')) {
        logger.warn({ error, directory }, 'no room to clean the log');
      } else if (isDiskError(error)) {
        log.cleaningFailed(error);
      } else throw error;
      return undefined;
    }
  }

  async #turn(): Promise<void> {
    if (this.#isStopped) throw new Stopped();
    await new Promise<void>((resolve) => this.#options.runtime.timers.nextTurn(resolve));
    if (this.#isStopped) throw new Stopped();
  }

  /** As many bytes in a window as the limit allows: who is ahead waits. */
  async #throttle(bytes: number): Promise<void> {
    if (this.#isStopped) throw new Stopped();
    const { runtime, settings } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    const elapsedMs = nowMs - this.#windowStartMs;
    const allowedMs = (this.#windowBytes / settings.ioBytesPerSecondMax) * 1000;
    if (elapsedMs > throttleWindowMs && allowedMs <= elapsedMs) {
      this.#windowStartMs = nowMs;
      this.#windowBytes = 0;
    }
    this.#windowBytes += bytes;
    const dueMs = this.#windowStartMs + (this.#windowBytes / settings.ioBytesPerSecondMax) * 1000;
    if (dueMs - nowMs >= 1) await sleep(runtime.timers, dueMs - nowMs, this.#stopping.signal);
  }
}
