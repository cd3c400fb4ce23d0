/** Kafka's `.index`: entries of relative offset (i32) and file position (i32), big endian, both strictly increasing. */
export const offsetIndexEntryBytes = 8;

const entriesAtFirst = 64;

/**
 * Where in the segment's file offsets are: one entry per `index.interval.bytes`, of a batch's last offset and the position where
 * that batch begins (as Kafka writes them). Kept in memory while it is in use; written to its file when the segment is
 * sealed or the log closed, because recovery reads the end of an unsealed segment anyway and an append then costs one write, not three.
 */
export class OffsetIndex {
  readonly baseOffset: number;
  /** Relative offset and position, alternating. */
  #entries: Int32Array = new Int32Array(2 * entriesAtFirst);
  #count = 0;

  constructor(baseOffset: number) {
    this.baseOffset = baseOffset;
  }

  get sizeBytes(): number {
    return this.#count * offsetIndexEntryBytes;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Last offset and position of the entry that was added last. */
  get last(): { readonly offset: number; readonly position: number } | undefined {
    return this.#count === 0 ? undefined : this.#at(this.#count - 1);
  }

  append(offset: number, position: number): void {
    if (this.#count * 2 === this.#entries.length) {
      const larger = new Int32Array(this.#entries.length * 2);
      larger.set(this.#entries);
      this.#entries = larger;
    }
    this.#entries[this.#count * 2] = offset - this.baseOffset;
    this.#entries[this.#count * 2 + 1] = position;
    this.#count++;
  }

  /** Position of a batch that begins at or before `offset`: of the last entry that is not beyond it, or 0. */
  positionFor(offset: number): number {
    const below = this.#countUpTo(offset);
    return below === 0 ? 0 : (this.#entries[below * 2 - 1] as number);
  }

  /** Forgets entries of offsets from `offset` on. */
  truncateTo(offset: number): void {
    this.#count = this.#countUpTo(offset - 1);
  }

  /** The bytes of the file. */
  encode(): Uint8Array {
    const bytes = Buffer.allocUnsafe(this.sizeBytes);
    for (let i = 0; i < this.#count * 2; i++) bytes.writeInt32BE(this.#entries[i] as number, i * 4);
    return bytes;
  }

  /** Undefined when these bytes cannot be the index of a segment of `segmentBytes`: then it is built anew. */
  static decode(baseOffset: number, bytes: Uint8Array, segmentBytes: number): OffsetIndex | undefined {
    if (bytes.length % offsetIndexEntryBytes !== 0) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const index = new OffsetIndex(baseOffset);
    let lastOffset = -1;
    let lastPosition = -1;
    for (let at = 0; at < bytes.length; at += offsetIndexEntryBytes) {
      const relative = view.getInt32(at);
      const position = view.getInt32(at + 4);
      if (relative <= lastOffset || position <= lastPosition || position >= segmentBytes) return undefined;
      index.append(baseOffset + relative, position);
      lastOffset = relative;
      lastPosition = position;
    }
    return index;
  }

  #at(i: number): { offset: number; position: number } {
    return {
      offset: this.baseOffset + (this.#entries[i * 2] as number),
      position: this.#entries[i * 2 + 1] as number,
    };
  }

  /** How many entries have an offset of at most `offset`. */
  #countUpTo(offset: number): number {
    const relative = offset - this.baseOffset;
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle * 2] as number) <= relative) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
