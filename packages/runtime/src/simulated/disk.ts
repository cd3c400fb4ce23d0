import { DiskError } from '../disk.ts';
import type { EventLoop } from './event-loop.ts';
import type { PowerLossMode } from './file-content.ts';
import { FileTree } from './file-tree.ts';
import type { Delay, SeededRandom } from './seeded-random.ts';
import type { StoreContent } from './store-content.ts';

export interface DiskTimes {
  /** An asynchronous call that need not reach the platter: read, open, rename, list. */
  readonly operation: Delay;
  /** A sync of a file, a directory or a store. */
  readonly sync: Delay;
}

/** A good SSD. */
export const diskTimesDefault: DiskTimes = {
  operation: { minMs: 0.02, meanMs: 0.05 },
  sync: { minMs: 0.2, meanMs: 0.6 },
};

/** The next `left` calls on paths that contain `path` fail. */
interface Fault {
  readonly path: string;
  readonly onFailure?: () => void;
  left: number;
}

/** The disk of one machine. It outlives the processes that use it; its faults are set here. */
export class SimulatedDisk {
  /** @internal */
  tree: FileTree;
  readonly #newTree: () => FileTree;
  readonly #random: SeededRandom;
  readonly #syncFaults: Fault[] = [];
  readonly #readFaults: Fault[] = [];
  /** May be changed at any time: a slow disk is one with other times. */
  times: DiskTimes;

  /** @internal Made with its node. */
  constructor(loop: EventLoop, random: SeededRandom, times: DiskTimes) {
    this.#newTree = () => new FileTree(() => loop.wallStartMs + loop.nowMs);
    this.tree = this.#newTree();
    this.#random = random;
    this.times = times;
  }

  /** The next `count` syncs of paths that contain `path` fail with an input/output error and lose what they should have saved. */
  failSyncs(path = '', count = 1): void {
    this.#syncFaults.push({ path, left: count });
  }

  /** The next `count` reads of paths that contain `path` fail with an input/output error; `onFailure` is called with each. */
  failReads(path = '', count = 1, onFailure = () => {}): void {
    this.#readFaults.push({ path, left: count, onFailure });
  }

  /** What was to fail reads to come is over. */
  stopFailingReads(): void {
    this.#readFaults.length = 0;
  }

  /** Writes that make files longer fail once `bytes` more have been written; `Infinity` makes room again. */
  fillUpAfter(bytes: number): void {
    this.tree.setRoom(bytes);
  }

  /** Damage at rest. Bits count from the start of the file; nothing happens beyond its end. */
  flipBit(path: string, bitIndex: number): void {
    this.tree.fileAt(path).flipBit(Math.floor(bitIndex / 8), bitIndex % 8);
  }

  /** Damage at rest. */
  truncateFile(path: string, size: number): void {
    this.tree.fileAt(path).truncateAtRest(size);
  }

  /** Damage at rest to a value of the store in this directory: as for files, what is read from then on is another. */
  flipBitOfStore(path: string, key: string, bitIndex: number): void {
    this.#storeAt(path).flipBit(key, Math.floor(bitIndex / 8), bitIndex % 8);
  }

  /** Keys of the store in this directory, with the sizes of their values; empty when there is none. */
  storedIn(path: string): Map<string, number> {
    const entry = this.tree.find(path);
    return entry?.kind === 'directory' && entry.store !== undefined ? entry.store.sizes() : new Map();
  }

  /** An empty disk in its place; nothing runs on the machine meanwhile. */
  replace(): void {
    this.tree = this.#newTree();
  }

  /** All files with their sizes as programs see them, by path: for fault scripts and checkers. */
  files(): Map<string, number> {
    const sizes = new Map<string, number>();
    for (const [path, content] of this.tree.files()) sizes.set(path, content.cached.length);
    return sizes;
  }

  /** What a file holds as programs see it. */
  contentOf(path: string): Uint8Array {
    const { cached } = this.tree.fileAt(path);
    return cached.read(0, cached.length);
  }

  #storeAt(path: string): StoreContent {
    const { store } = this.tree.directoryAt(path);
    if (store === undefined) throw new DiskError('not-found', path, `there is no store in ${path}`);
    return store;
  }

  /** @internal Called by the node when its power goes. */
  losePower(mode: PowerLossMode): void {
    this.tree.losePower(mode, this.#random);
  }

  /** @internal How long the next operation takes. */
  operationMs(): number {
    return this.#random.delayMs(this.times.operation);
  }

  /** @internal How long the next sync takes. */
  syncMs(): number {
    return this.#random.delayMs(this.times.sync);
  }

  /** @internal Whether this sync is one that has to fail. */
  takeSyncFault(path: string): boolean {
    return takeFault(this.#syncFaults, path);
  }

  /** @internal Throws when this read is one that has to fail. */
  checkReadable(path: string): void {
    if (takeFault(this.#readFaults, path)) throw inputOutputError('read', path);
  }
}

export function inputOutputError(action: string, path: string): DiskError {
  return new DiskError('io', path, `cannot ${action} ${path}: the device reports an input/output error`);
}

function takeFault(faults: Fault[], path: string): boolean {
  const index = faults.findIndex((fault) => path.includes(fault.path));
  const fault = faults[index];
  if (fault === undefined) return false;
  fault.left--;
  fault.onFailure?.();
  if (fault.left === 0) faults.splice(index, 1);
  return true;
}
