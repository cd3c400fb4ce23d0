import type { SeededRandom } from './seeded-random.ts';

/** Bytes that grow by doubling; what was never written reads as zero. */
export class ByteArray {
  #bytes = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A copy of up to `length` bytes, fewer at the end. */
  read(position: number, length: number): Uint8Array {
    // Small ones come from Node's pool: a buffer of its own each time costs more than its bytes.
    return Buffer.from(this.view(position, length));
  }

  /** The same until the next write. */
  view(position: number, length: number): Uint8Array {
    const end = Math.min(this.#length, position + length);
    return this.#bytes.subarray(Math.min(position, end), end);
  }

  write(position: number, bytes: Uint8Array): void {
    this.#grow(position + bytes.length);
    this.#bytes.set(bytes, position);
  }

  /** Cuts, or extends with zeros. */
  resize(length: number): void {
    if (length < this.#length) this.#bytes.fill(0, length, this.#length);
    else this.#grow(length);
    this.#length = length;
  }

  flipBit(position: number, bit: number): void {
    if (position < this.#length) this.#bytes[position] = (this.#bytes[position] as number) ^ (1 << bit);
  }

  clone(): ByteArray {
    const copy = new ByteArray();
    copy.write(0, this.read(0, this.#length));
    return copy;
  }

  #grow(length: number): void {
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length, 256));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#length = Math.max(this.#length, length);
  }
}

type Change =
  | { readonly kind: 'write'; readonly position: number; readonly length: number }
  | { readonly kind: 'resize'; readonly length: number };

/** What a power cut does to what was not synced. */
export type PowerLossMode =
  /** By the seed: some of it lost, kept or torn. */
  | 'random'
  /** Everything unsynced is gone. */
  | 'lost'
  /** The kernel had written everything back just before. */
  | 'kept';

/** Changes of one file that wait for a sync; beyond that the kernel writes the oldest back by itself. */
const pendingChangesMax = 4_096;

/** A disk's sector: of one write, some sectors may reach the platter and others not. */
const sectorBytes = 512;

/** A file: what programs see (the page cache) and what would be there after a power cut. */
export class FileContent {
  cached = new ByteArray();
  #durable = new ByteArray();
  /** In order; each refers to the bytes in `cached`. */
  #pending: Change[] = [];
  /** Changes that were ever made: where a sync that began remembers how far it reaches. */
  #changeCount = 0;
  #modifiedMs: number;

  constructor(createdMs: number) {
    this.#modifiedMs = createdMs;
  }

  get modifiedMs(): number {
    return this.#modifiedMs;
  }

  write(position: number, bytes: Uint8Array, wallMs: number): void {
    this.#modifiedMs = wallMs;
    this.cached.write(position, bytes);
    this.#add({ kind: 'write', position, length: bytes.length });
  }

  resize(length: number, wallMs: number): void {
    this.#modifiedMs = wallMs;
    this.cached.resize(length);
    this.#add({ kind: 'resize', length });
  }

  /** What `syncTo` takes to make durable all that was changed up to now. */
  get changeCount(): number {
    return this.#changeCount;
  }

  syncTo(changeCount: number): void {
    for (const change of this.#takeTo(changeCount)) this.#apply(this.#durable, change);
  }

  /** A failed sync: the kernel marks the pages clean although they are not on disk (ATC '20); they stay readable. */
  forgetTo(changeCount: number): void {
    this.#takeTo(changeCount);
  }

  losePower(mode: PowerLossMode, random: SeededRandom): void {
    if (mode === 'kept') this.syncTo(this.#changeCount);
    if (mode === 'random') this.#writeBackSome(random);
    this.#pending = [];
    this.cached = this.#durable.clone();
  }

  flipBit(position: number, bit: number): void {
    this.cached.flipBit(position, bit);
    this.#durable.flipBit(position, bit);
  }

  /** Damage at rest: cut on the platter. */
  truncateAtRest(length: number): void {
    if (length < this.cached.length) this.cached.resize(length);
    if (length < this.#durable.length) this.#durable.resize(length);
  }

  #add(change: Change): void {
    this.#pending.push(change);
    this.#changeCount++;
    if (this.#pending.length > pendingChangesMax) this.syncTo(this.#changeCount - pendingChangesMax / 2);
  }

  #takeTo(changeCount: number): Change[] {
    const firstPending = this.#changeCount - this.#pending.length;
    return this.#pending.splice(0, Math.max(0, changeCount - firstPending));
  }

  /** The bytes are those of the cache now: a later write over the same place may have got there a little early. */
  #apply(target: ByteArray, change: Change, length?: number): void {
    if (change.kind === 'resize') target.resize(change.length);
    else {
      const bytes = this.cached.view(change.position, length ?? change.length);
      if (bytes.length > 0) target.write(change.position, bytes);
    }
  }

  /**
   * Three kinds of power cut: nothing was written back; the kernel wrote in order and the cut tore one write; or every write had
   * a fate of its own.
   */
  #writeBackSome(random: SeededRandom): void {
    if (this.#pending.length === 0) return;
    const kind = random.nextInt(4);
    if (kind === 0) return;
    if (kind === 1) {
      const whole = random.nextInt(this.#pending.length);
      for (const change of this.#pending.slice(0, whole)) this.#apply(this.#durable, change);
      this.#tear(this.#pending[whole] as Change, random);
      return;
    }
    for (const change of this.#pending) {
      const fate = random.nextInt(3);
      if (fate === 0) this.#apply(this.#durable, change);
      if (fate === 1) this.#tear(change, random);
    }
  }

  /** A prefix of the write, cut at any byte, or any of its sectors with zeros between when the file got longer. */
  #tear(change: Change, random: SeededRandom): void {
    if (change.kind === 'resize') {
      if (random.chance(0.5)) this.#apply(this.#durable, change);
      return;
    }
    if (random.chance(0.7)) {
      this.#apply(this.#durable, change, random.nextInt(change.length + 1));
      return;
    }
    const end = change.position + change.length;
    if (this.#durable.length < end) this.#durable.resize(end);
    for (let start = change.position; start < end; ) {
      const next = Math.min(end, (Math.floor(start / sectorBytes) + 1) * sectorBytes);
      if (random.chance(0.5)) this.#apply(this.#durable, { kind: 'write', position: start, length: next - start });
      start = next;
    }
  }
}
