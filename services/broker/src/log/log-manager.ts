import type { Logger } from '@naru/observability';
import { assert, type Disk, isDiskError, type Runtime, type Timer } from '@naru/runtime';
import { type CleanerCounts, type CleanerSettings, LogCleaner } from './cleaner.ts';
import type { LogConfig } from './log-config.ts';
import { LogDirectory } from './log-directory.ts';
import { StorageError } from './log-errors.ts';
import { TailBudget } from './log-tail.ts';
import type { IntactPart, LogDamage } from './log-types.ts';
import { classifyName, partitionDirectoryName, readTopicId, writeTopicId } from './partition-directory.ts';
import { PartitionLog } from './partition-log.ts';

/** Logs that are recovered at the same time. */
const recoveriesMax = 4;
const producerIdExpirationDefaultMs = 86_400_000;

export interface LogManagerOptions {
  readonly runtime: Pick<Runtime, 'disk' | 'clock' | 'timers' | 'random'>;
  readonly logger: Logger;
  /** `log.dirs`, at least one. */
  readonly directories: readonly string[];
  readonly brokerId: number;
  readonly clusterId: string;
  /** For logs that are opened before their topic's configuration is known. */
  readonly defaultConfig: LogConfig;
  /** Memory for the newest batches of all logs together, bytes. */
  readonly tailBytesMax: number;
  /** How often logs are flushed and recovery points written, milliseconds (`log.flush.offset.checkpoint.interval.ms`). */
  readonly checkpointIntervalMs: number;
  /** `log.retention.check.interval.ms`. */
  readonly retentionIntervalMs: number;
  /** `producer.id.expiration.ms`: how long a silent idempotent producer is known; left out: a day. */
  readonly producerIdExpirationMs?: number;
  /** How compacted logs are cleaned; left out: never. */
  readonly cleaner?: CleanerSettings;
  /** Where a log's high watermark stands: retention goes no further. Undefined when it is not known. */
  readonly highWatermarkOf: (log: PartitionLog) => number | undefined;
  /** A log failed for good; its directory is to be given up (row 56). */
  readonly onFailure: (log: PartitionLog | undefined, error: StorageError) => void;
  readonly onDamage?: (log: PartitionLog, damage: LogDamage) => void;
}

export interface NewLog {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly config: LogConfig;
}

/**
 * All logs of a broker in its data directories. Every partition directory belongs to a topic id; one whose id is missing,
 * unreadable or another than the cluster says is put aside under another name and never deleted (rows 18, 58).
 */
export class LogManager {
  readonly #options: LogManagerOptions;
  readonly #directories: readonly LogDirectory[];
  readonly #logs = new Map<string, PartitionLog>();
  readonly #tailBudget: TailBudget;
  readonly #homes = new Map<PartitionLog, LogDirectory>();
  /** Creations and deletions under one partition's name happen one after the other: the last one of each. */
  readonly #changes = new Map<string, Promise<unknown>>();
  readonly #cleaner: LogCleaner | undefined;
  #timers: Timer[] = [];
  #isClosed = false;

  private constructor(options: LogManagerOptions, directories: readonly LogDirectory[]) {
    this.#options = options;
    this.#directories = directories;
    this.#tailBudget = new TailBudget(options.tailBytesMax);
    const { runtime, logger, highWatermarkOf, cleaner: settings } = options;
    this.#cleaner =
      settings &&
      new LogCleaner({
        runtime,
        logger,
        settings,
        highWatermarkOf,
        logs: () => this.#logs.values(),
        checkpointOf: (log) => this.#homes.get(log),
      });
  }

  /** Opens the directories and recovers every log in them. Throws `StorageError`, `DiskError`. */
  static async open(options: LogManagerOptions): Promise<LogManager> {
    assert(options.directories.length > 0, 'a broker has a data directory');
    const { disk, random } = options.runtime;
    const directories: LogDirectory[] = [];
    try {
      for (const path of options.directories) {
        const { logger, brokerId, clusterId } = options;
        directories.push(await LogDirectory.open({ disk, random, logger, path, brokerId, clusterId }));
      }
      const manager = new LogManager(options, directories);
      for (const directory of directories) await manager.#openLogs(directory);
      manager.#schedule(options.checkpointIntervalMs, () => manager.checkpoint());
      manager.#schedule(options.retentionIntervalMs, () => manager.applyRetention());
      if (options.cleaner !== undefined) manager.#schedule(options.cleaner.backoffMs, () => manager.compact());
      return manager;
    } catch (error) {
      for (const directory of directories) await directory.close(undefined);
      throw error;
    }
  }

  /** Of the first directory: the broker registers with it. */
  get directoryId(): string {
    return (this.#directories[0] as LogDirectory).directoryId;
  }

  /** The epoch with which the broker stopped in order, undefined after a crash (of any directory). */
  get cleanShutdownEpoch(): number | undefined {
    const epochs = this.#directories.map((directory) => directory.cleanShutdown?.brokerEpoch);
    return epochs.every((epoch) => epoch === epochs[0]) ? epochs[0] : undefined;
  }

  get logs(): Iterable<PartitionLog> {
    return this.#logs.values();
  }

  get(topicId: string, partition: number): PartitionLog | undefined {
    return this.#logs.get(keyOf(topicId, partition));
  }

  /** Every damaged log by `topicId:partition`, with where its intact part ends: the broker's registration says so. */
  get damaged(): Map<string, IntactPart> {
    const damaged = new Map<string, IntactPart>();
    for (const [key, { damage, leaderEpochs }] of this.#logs) {
      if (damage === undefined) continue;
      const { offset: endOffset, beyondRecoveryPoint = false } = damage;
      damaged.set(key, { endOffset, leaderEpoch: leaderEpochs.epochOf(endOffset - 1), beyondRecoveryPoint });
    }
    return damaged;
  }

  /** The last checkpointed high watermark, at most the log's end. */
  highWatermarkAtStart(log: PartitionLog): number {
    const checkpointed = this.#homes.get(log)?.highWatermarkOf(log.topic, log.partition) ?? 0;
    return Math.min(Math.max(checkpointed, log.logStartOffset), log.logEndOffset);
  }

  /** The log of this topic id, made when it is not there. A directory of the same name and another id is put aside (row 18). */
  getOrCreate(wanted: NewLog): Promise<PartitionLog> {
    return this.#change(wanted, async () => {
      const existing = this.get(wanted.topicId, wanted.partition);
      if (existing !== undefined) return existing;
      const name = partitionDirectoryName(wanted.topic, wanted.partition);
      for (const log of this.#logs.values()) {
        if (log.topic === wanted.topic && log.partition === wanted.partition) await this.#putAside(log);
      }
      const home = this.#emptiest();
      await home.forget(wanted.topic, wanted.partition);
      const path = `${home.path}/${name}`;
      await this.#disk.makeDirectory(path);
      await writeTopicId(this.#disk, path, wanted.topicId);
      return this.#openLog(home, wanted, { isNew: true });
    });
  }

  /** Only on a committed deletion of this topic id, or of this replica of it (row 58). The directory is renamed first, then removed. */
  delete(topicId: string, partition: number): Promise<void> {
    const log = this.get(topicId, partition);
    return this.#change(log, async () => {
      if (log === undefined || this.get(topicId, partition) !== log) return;
      const path = await this.#detach(log, 'deleted');
      await this.#disk.remove(path);
    });
  }

  /** The cluster does not know this topic id (any more): closed and kept under another name. */
  quarantine(topicId: string, partition: number): Promise<void> {
    const log = this.get(topicId, partition);
    return this.#change(log, async () => {
      if (log !== undefined && this.get(topicId, partition) === log) await this.#putAside(log);
    });
  }

  /** Flushes everything and writes the recovery points and high watermarks. Failures are reported by `onFailure`. */
  async checkpoint(): Promise<void> {
    for (const log of [...this.#logs.values()]) {
      await log.releaseIdle().catch(() => {});
      if (log.state.kind === 'open' && log.flushedOffset < log.logEndOffset) await log.flush().catch(() => {});
    }
    for (const directory of this.#directories) {
      await this.#report(async () => {
        await directory.checkpointRecoveryPoints();
        await directory.checkpointHighWatermarks(this.#options.highWatermarkOf);
      });
    }
  }

  async applyRetention(): Promise<void> {
    const { producerIdExpirationMs = producerIdExpirationDefaultMs, runtime } = this.#options;
    for (const log of [...this.#logs.values()]) {
      log.expireProducers(runtime.clock.wallMs(), producerIdExpirationMs);
      const highWatermark = this.#options.highWatermarkOf(log);
      if (highWatermark === undefined) continue;
      await this.#report(() => log.applyRetention(runtime.clock.wallMs(), highWatermark));
    }
  }

  /** Cleans the compacted logs that are dirty enough, one after the other. */
  async compact(): Promise<void> {
    await this.#cleaner?.clean();
  }

  /** For metrics; undefined when logs are never cleaned. */
  get cleanerCounts(): Readonly<CleanerCounts> | undefined {
    return this.#cleaner?.counts;
  }

  /**
   * Flushes and closes every log. A directory gets the mark of a clean stop only when all its logs were flushed and none is
   * damaged or failed (rows 59, 60).
   */
  async close(brokerEpoch: number): Promise<void> {
    await this.#stop();
    for (const directory of this.#directories) {
      const isFlushed = await succeeds(async () => {
        for (const log of directory.logs) await log.flush();
        await directory.checkpointRecoveryPoints();
        await directory.checkpointHighWatermarks(this.#options.highWatermarkOf);
      });
      const isIntact = [...directory.logs].every((log) => log.state.kind === 'open');
      let isClosed = true;
      for (const log of directory.logs) isClosed = (await succeeds(() => log.close())) && isClosed;
      await directory.close(isFlushed && isIntact && isClosed ? { brokerEpoch } : undefined);
    }
  }

  /** Closes without flushing: the directory failed. */
  async abandon(): Promise<void> {
    await this.#stop();
    for (const directory of this.#directories) {
      for (const log of directory.logs) await log.abandon().catch(() => {});
      await directory.close(undefined);
    }
  }

  get #disk(): Disk {
    return this.#options.runtime.disk;
  }

  async #stop(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    await this.#cleaner?.stop();
    await Promise.all(this.#changes.values());
  }

  async #openLogs(directory: LogDirectory): Promise<void> {
    const names = await this.#disk.list(directory.path);
    const pending: NewLog[] = [];
    for (const name of names) {
      const kind = classifyName(name);
      if (kind.kind === 'deleted') await this.#disk.remove(`${directory.path}/${name}`);
      if (kind.kind !== 'partition') continue;
      if ((await this.#disk.stat(`${directory.path}/${name}`))?.kind !== 'directory') continue;
      const topicId = await readTopicId(this.#disk, `${directory.path}/${name}`);
      if (topicId === undefined && (await this.#isUnborn(`${directory.path}/${name}`))) {
        // Its creation was cut short before it got an id: there is nothing to lose.
        await this.#disk.remove(`${directory.path}/${name}`);
        continue;
      }
      if (topicId === undefined || this.#logs.has(keyOf(topicId, kind.partition))) {
        const path = await directory.rename(name, 'stray');
        this.#options.logger.error({ path }, 'partition directory without a usable topic id is kept aside');
        continue;
      }
      const { topic, partition } = kind;
      pending.push({ topic, partition, topicId, config: this.#options.defaultConfig });
    }
    const openNext = async (): Promise<void> => {
      for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
        await this.#openLog(directory, next, { isNew: false });
      }
    };
    await Promise.all(Array.from({ length: recoveriesMax }, openNext));
  }

  async #isUnborn(path: string): Promise<boolean> {
    return (await this.#disk.list(path)).every((name) => name.endsWith('.tmp'));
  }

  async #openLog(home: LogDirectory, wanted: NewLog, options: { readonly isNew: boolean }): Promise<PartitionLog> {
    const { runtime, logger, onFailure, onDamage } = this.#options;
    const { topic, partition } = wanted;
    const name = partitionDirectoryName(topic, partition);
    const log: PartitionLog = await PartitionLog.open({
      ...wanted,
      disk: runtime.disk,
      clock: runtime.clock,
      timers: runtime.timers,
      logger: logger.child({ partition: name }),
      directory: `${home.path}/${name}`,
      recoveryPoint: options.isNew ? 0 : home.recoveryPointOf(topic, partition),
      isRecoveryPointLost: !options.isNew && home.areRecoveryPointsLost,
      logStartOffset: options.isNew ? 0 : home.logStartOf(topic, partition),
      wasCleanShutdown: home.cleanShutdown !== undefined,
      tailBudget: this.#tailBudget,
      checkpoints: home,
      onFailure: (error) => onFailure(log, error),
      onDamage: (damage) => onDamage?.(log, damage),
    });
    this.#logs.set(keyOf(wanted.topicId, partition), log);
    this.#homes.set(log, home);
    home.logs.add(log);
    return log;
  }

  async #putAside(log: PartitionLog): Promise<void> {
    const path = await this.#detach(log, 'stray');
    this.#options.logger.warn({ path, topicId: log.topicId }, 'log of an unknown topic is kept aside');
  }

  async #detach(log: PartitionLog, as: 'deleted' | 'stray'): Promise<string> {
    const home = this.#homes.get(log) as LogDirectory;
    this.#logs.delete(keyOf(log.topicId, log.partition));
    this.#homes.delete(log);
    home.logs.delete(log);
    // A log that failed cannot be flushed; its directory is moved all the same.
    if (as === 'deleted') await log.abandon();
    else await succeeds(() => log.close());
    const path = await home.rename(partitionDirectoryName(log.topic, log.partition), as);
    await home.forget(log.topic, log.partition);
    return path;
  }

  #emptiest(): LogDirectory {
    return this.#directories.reduce((best, directory) => (directory.logs.size < best.logs.size ? directory : best));
  }

  async #change<T>(
    of: { readonly topic: string; readonly partition: number } | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const name = of === undefined ? '' : partitionDirectoryName(of.topic, of.partition);
    const done = (this.#changes.get(name) ?? Promise.resolve()).then(() => {
      if (this.#isClosed) throw new StorageError('closed', 'the logs are closed');
      return work().catch((error: unknown) => {
        // Half a creation or removal is taken up again at the next start; until then the directory cannot be trusted with more (row 56).
        if (!isDiskError(error)) throw error;
        throw new StorageError('failed', `${name} cannot be changed: ${error.message}`, { cause: error });
      });
    });
    const settled = done.catch(() => {});
    this.#changes.set(name, settled);
    void settled.then(() => {
      if (this.#changes.get(name) === settled) this.#changes.delete(name);
    });
    return done;
  }

  /** Runs `work` again and again, each time `intervalMs` after it ended. */
  #schedule(intervalMs: number, work: () => Promise<void>): void {
    const i = this.#timers.length;
    const next = (): void => {
      if (this.#isClosed) return;
      this.#timers[i] = this.#options.runtime.timers.after(intervalMs, () => {
        void work().then(next, next);
      });
    };
    next();
  }

  async #report(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const failure =
        error instanceof StorageError ? error : new StorageError('failed', String(error), { cause: error });
      if (!this.#isClosed) this.#options.onFailure(undefined, failure);
    }
  }
}

async function succeeds(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch {
    return false;
  }
}

function keyOf(topicId: string, partition: number): string {
  return `${topicId}:${partition}`;
}
