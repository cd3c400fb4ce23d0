/** Kafka's `.timeindex`: entries of timestamp (i64) and relative offset (i32), big endian; timestamps strictly increase. */
export const timeIndexEntryBytes = 12;

const entriesAtFirst = 64;

/**
 * An entry (T, O) says: T is the largest timestamp up to offset O, and the batch that ends at O is the first that has it. Kept
 * and written like the offset index.
 */
export class TimeIndex {
  readonly baseOffset: number;
  #timestamps: Float64Array = new Float64Array(entriesAtFirst);
  #offsets: Int32Array = new Int32Array(entriesAtFirst);
  #count = 0;

  constructor(baseOffset: number) {
    this.baseOffset = baseOffset;
  }

  get sizeBytes(): number {
    return this.#count * timeIndexEntryBytes;
  }

  get last(): { readonly timestampMs: number; readonly offset: number } | undefined {
    if (this.#count === 0) return undefined;
    return {
      timestampMs: this.#timestamps[this.#count - 1] as number,
      offset: this.baseOffset + (this.#offsets[this.#count - 1] as number),
    };
  }

  /** Adds an entry when it says something new. */
  maybeAppend(timestampMs: number, offset: number): void {
    if (this.#count > 0 && timestampMs <= (this.#timestamps[this.#count - 1] as number)) return;
    if (timestampMs < 0) return;
    if (this.#count === this.#timestamps.length) this.#grow();
    this.#timestamps[this.#count] = timestampMs;
    this.#offsets[this.#count] = offset - this.baseOffset;
    this.#count++;
  }

  /** Every record of a smaller offset is older than `timestampMs`: the base offset, or that of the last entry not younger than it. */
  offsetFor(timestampMs: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#timestamps[middle] as number) <= timestampMs) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? this.baseOffset : this.baseOffset + (this.#offsets[low - 1] as number);
  }

  /** Forgets entries of offsets from `offset` on. */
  truncateTo(offset: number): void {
    while (this.#count > 0 && (this.#offsets[this.#count - 1] as number) >= offset - this.baseOffset) this.#count--;
  }

  encode(): Uint8Array {
    const bytes = Buffer.allocUnsafe(this.sizeBytes);
    for (let i = 0; i < this.#count; i++) {
      bytes.writeBigInt64BE(BigInt(this.#timestamps[i] as number), i * timeIndexEntryBytes);
      bytes.writeInt32BE(this.#offsets[i] as number, i * timeIndexEntryBytes + 8);
    }
    return bytes;
  }

  /** Undefined when these bytes cannot be the time index of a segment. */
  static decode(baseOffset: number, bytes: Uint8Array): TimeIndex | undefined {
    if (bytes.length % timeIndexEntryBytes !== 0) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const index = new TimeIndex(baseOffset);
    let lastTimestamp = -1;
    let lastOffset = -1;
    for (let at = 0; at < bytes.length; at += timeIndexEntryBytes) {
      const timestampMs = Number(view.getBigInt64(at));
      const relative = view.getInt32(at + 8);
      const fits = timestampMs > lastTimestamp && relative > lastOffset;
      if (!fits || !Number.isSafeInteger(timestampMs)) return undefined;
      index.maybeAppend(timestampMs, baseOffset + relative);
      lastTimestamp = timestampMs;
      lastOffset = relative;
    }
    return index;
  }

  #grow(): void {
    const timestamps = new Float64Array(this.#count * 2);
    timestamps.set(this.#timestamps);
    this.#timestamps = timestamps;
    const offsets = new Int32Array(this.#count * 2);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
  }
}
