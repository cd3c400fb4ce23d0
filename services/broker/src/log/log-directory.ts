import type { Logger } from '@naru/observability';
import { assert, type Disk, type DiskLock, type Random, randomUuid } from '@naru/runtime';
import { OffsetCheckpoint } from './checkpoint-file.ts';
import { takeCleanShutdown, writeCleanShutdown } from './clean-shutdown.ts';
import type { CleanerCheckpoint } from './cleaner.ts';
import { assertOwn, readIdentity, writeIdentity } from './directory-identity.ts';
import { StorageError } from './log-errors.ts';
import { classifyName, deletedName, partitionDirectoryName, strayName } from './partition-directory.ts';
import type { LogCheckpoints, PartitionLog } from './partition-log.ts';

export const recoveryPointFile = 'recovery-point-offset-checkpoint';
export const highWatermarkFile = 'replication-offset-checkpoint';
export const logStartFile = 'log-start-offset-checkpoint';
export const cleanerFile = 'cleaner-offset-checkpoint';

export interface LogDirectoryOptions {
  readonly disk: Disk;
  readonly random: Random;
  readonly logger: Logger;
  readonly path: string;
  readonly brokerId: number;
  readonly clusterId: string;
}

type Entry = readonly [topic: string, partition: number, offset: number];

/** One data directory (`log.dirs`): who it belongs to, its lock, its checkpoint files, and the partition directories in it. */
export class LogDirectory implements LogCheckpoints, CleanerCheckpoint {
  readonly path: string;
  readonly directoryId: string;
  /** How the last broker left it; undefined after a crash. */
  readonly cleanShutdown: { readonly brokerEpoch: number } | undefined;
  readonly logs = new Set<PartitionLog>();

  readonly #options: LogDirectoryOptions;
  readonly #lock: DiskLock;
  readonly #recoveryPointFile: OffsetCheckpoint;
  readonly #highWatermarkFile: OffsetCheckpoint;
  readonly #logStartFile: OffsetCheckpoint;
  readonly #cleanerFile: OffsetCheckpoint;
  /** As the files say: what partitions that are not open yet must not lose when a file is replaced. */
  #recoveryPoints = new Map<string, number>();
  #areRecoveryPointsLost = false;
  #logStarts = new Map<string, number>();
  #highWatermarks = new Map<string, number>();
  #cleanedTo = new Map<string, number>();

  private constructor(
    options: LogDirectoryOptions,
    opened: {
      readonly directoryId: string;
      readonly lock: DiskLock;
      readonly clean: { brokerEpoch: number } | undefined;
    },
  ) {
    this.#options = options;
    this.path = options.path;
    this.directoryId = opened.directoryId;
    this.cleanShutdown = opened.clean;
    this.#lock = opened.lock;
    this.#recoveryPointFile = new OffsetCheckpoint(options.disk, `${options.path}/${recoveryPointFile}`);
    this.#highWatermarkFile = new OffsetCheckpoint(options.disk, `${options.path}/${highWatermarkFile}`);
    this.#logStartFile = new OffsetCheckpoint(options.disk, `${options.path}/${logStartFile}`);
    this.#cleanerFile = new OffsetCheckpoint(options.disk, `${options.path}/${cleanerFile}`);
  }

  /** Throws `StorageError` `foreign-directory` or `unreadable`, `DiskError` (`locked` when another process has it). */
  static async open(options: LogDirectoryOptions): Promise<LogDirectory> {
    const { disk, path, brokerId, clusterId } = options;
    await disk.makeDirectory(path);
    const lock = await disk.lock(path);
    try {
      const found = await readIdentity(disk, path);
      if (found !== undefined) assertOwn(path, found, brokerId, clusterId);
      const clean = await takeCleanShutdown(disk, path);
      const directoryId = found?.directoryId ?? randomUuid(options.random);
      if (found === undefined) await LogDirectory.#claim(options, directoryId);
      const directory = new LogDirectory(options, { directoryId, lock, clean });
      await directory.#readCheckpoints();
      return directory;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** A directory without identity must be empty of partitions: they are someone's. */
  static async #claim(options: LogDirectoryOptions, directoryId: string): Promise<void> {
    const { disk, path, brokerId, clusterId } = options;
    const partition = (await disk.list(path)).find((name) => classifyName(name).kind === 'partition');
    if (partition !== undefined) {
      throw new StorageError('foreign-directory', `${path} holds ${partition} but has no meta.properties`);
    }
    await writeIdentity(disk, path, { brokerId, clusterId, directoryId });
  }

  recoveryPointOf(topic: string, partition: number): number {
    return this.#recoveryPoints.get(partitionDirectoryName(topic, partition)) ?? 0;
  }

  /** There is a file of recovery points that nobody can read. */
  get areRecoveryPointsLost(): boolean {
    return this.#areRecoveryPointsLost;
  }

  logStartOf(topic: string, partition: number): number {
    return this.#logStarts.get(partitionDirectoryName(topic, partition)) ?? 0;
  }

  highWatermarkOf(topic: string, partition: number): number {
    return this.#highWatermarks.get(partitionDirectoryName(topic, partition)) ?? 0;
  }

  async recoveryPointLowered(log: PartitionLog, offset: number): Promise<void> {
    const name = partitionDirectoryName(log.topic, log.partition);
    // What comes after the cut was never cleaned: a tombstone in it must not go before all it deletes.
    if ((this.#cleanedTo.get(name) ?? 0) > offset) await this.#setCleanedTo(name, offset);
    if ((this.#recoveryPoints.get(name) ?? 0) <= offset) return;
    this.#recoveryPoints.set(name, offset);
    await this.#writeRecoveryPoints();
  }

  cleanedTo(log: PartitionLog): number {
    return this.#cleanedTo.get(partitionDirectoryName(log.topic, log.partition)) ?? 0;
  }

  async logCleaned(log: PartitionLog, offset: number): Promise<void> {
    if (this.logs.has(log)) await this.#setCleanedTo(partitionDirectoryName(log.topic, log.partition), offset);
  }

  async #setCleanedTo(name: string, offset: number): Promise<void> {
    this.#cleanedTo.set(name, offset);
    await this.#cleanerFile.write(() => entriesOf(this.#cleanedTo));
  }

  async logStartMoved(log: PartitionLog, offset: number): Promise<void> {
    this.#logStarts.set(partitionDirectoryName(log.topic, log.partition), offset);
    await this.#logStartFile.write(() => entriesOf(this.#logStarts));
  }

  /** Row 60: a recovery point is what a successful sync has covered, never more. */
  async checkpointRecoveryPoints(): Promise<void> {
    let hasChanged = false;
    for (const log of this.logs) {
      const name = partitionDirectoryName(log.topic, log.partition);
      const { recoveryPoint } = log;
      if (recoveryPoint === undefined || this.#recoveryPoints.get(name) === recoveryPoint) continue;
      this.#recoveryPoints.set(name, recoveryPoint);
      hasChanged = true;
    }
    if (hasChanged) await this.#writeRecoveryPoints();
  }

  async checkpointHighWatermarks(highWatermarkOf: (log: PartitionLog) => number | undefined): Promise<void> {
    for (const log of this.logs) {
      const highWatermark = highWatermarkOf(log);
      const name = partitionDirectoryName(log.topic, log.partition);
      if (highWatermark !== undefined) this.#highWatermarks.set(name, highWatermark);
    }
    await this.#highWatermarkFile.write(() => entriesOf(this.#highWatermarks));
  }

  /** A partition of this name begins with nothing: what the files say of an earlier one would make it look damaged. */
  async forget(topic: string, partition: number): Promise<void> {
    const name = partitionDirectoryName(topic, partition);
    if (this.#recoveryPoints.delete(name)) await this.#writeRecoveryPoints();
    if (this.#logStarts.delete(name)) await this.#logStartFile.write(() => entriesOf(this.#logStarts));
    if (this.#cleanedTo.delete(name)) await this.#cleanerFile.write(() => entriesOf(this.#cleanedTo));
    if (this.#highWatermarks.delete(name)) await this.#highWatermarkFile.write(() => entriesOf(this.#highWatermarks));
  }

  /** Renames a partition's directory, so that it is deleted or kept aside whatever comes. Returns the new path. */
  async rename(name: string, as: 'deleted' | 'stray'): Promise<string> {
    const uniqueId = Buffer.from(this.#options.random.nextBytes(16)).toString('hex');
    const target = as === 'deleted' ? deletedName(name, uniqueId) : strayName(name, uniqueId);
    await this.#options.disk.rename(`${this.path}/${name}`, `${this.path}/${target}`);
    await this.#options.disk.syncDirectory(this.path);
    return `${this.path}/${target}`;
  }

  /** After every log of the directory was closed. `clean` only when all of them could be flushed. */
  async close(clean: { readonly brokerEpoch: number } | undefined): Promise<void> {
    try {
      if (clean !== undefined) await writeCleanShutdown(this.#options.disk, this.path, clean);
    } finally {
      await this.#lock.release();
    }
  }

  /**
   * An unreadable checkpoint is no reason to stop: without recovery points everything is checked, without log starts the
   * first segment says it. Nothing is thrown away for it (row 58).
   */
  async #readCheckpoints(): Promise<void> {
    const recoveryPoints = await this.#readOne(this.#recoveryPointFile);
    this.#areRecoveryPointsLost = recoveryPoints === undefined;
    this.#recoveryPoints = recoveryPoints ?? new Map();
    this.#logStarts = (await this.#readOne(this.#logStartFile)) ?? new Map();
    this.#highWatermarks = (await this.#readOne(this.#highWatermarkFile)) ?? new Map();
    this.#cleanedTo = (await this.#readOne(this.#cleanerFile)) ?? new Map();
  }

  async #readOne(file: OffsetCheckpoint): Promise<Map<string, number> | undefined> {
    try {
      const offsets = await file.read();
      // Whoever writes the file anew believes its names; one that no partition can have was damaged, and so may be the rest.
      const strange = [...offsets.keys()].find((name) => classifyName(name).kind !== 'partition');
      if (strange === undefined) return offsets;
      throw new StorageError('unreadable', `a checkpoint names ${JSON.stringify(strange)}, which is no partition`);
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'unreadable') throw error;
      this.#options.logger.error({ error }, 'checkpoint is unreadable, going on without it');
      return undefined;
    }
  }

  #writeRecoveryPoints(): Promise<void> {
    return this.#recoveryPointFile.write(() => entriesOf(this.#recoveryPoints));
  }
}

function entriesOf(offsets: ReadonlyMap<string, number>): Entry[] {
  return [...offsets].map(([name, offset]) => {
    const kind = classifyName(name);
    assert(kind.kind === 'partition', `${name} names a partition`);
    return [kind.topic, kind.partition, offset];
  });
}
