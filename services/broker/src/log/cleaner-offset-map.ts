import { hash } from 'node:crypto';

/** 16 bytes of the key's hash, then its offset as a float, which is exact for every safe integer. */
const slotBytes = 24;
/** A fuller table needs ever more probes; Kafka's `log.cleaner.io.buffer.load.factor`. */
const loadFactor = 0.9;
const slotsMin = 16;

/**
 * The last offset of every key that the cleaner has seen, in a bounded piece of memory: keys of any length cost 24 bytes. Two keys of the same hash would
 * cost a record, so the hash is a cryptographic one (the first half of SHA-256), which nobody can make collide on purpose.
 *
 * Open addressing with linear probing; nothing is ever removed but all of it at once.
 */
export class OffsetMap {
  readonly capacity: number;
  readonly #slots: number;
  readonly #words: Uint32Array;
  /** Offset + 1; 0: the slot is free. */
  readonly #offsets: Float64Array;
  readonly #hash = new Uint32Array(4);
  #size = 0;

  /** As large as `entriesWanted` need, within `bytesMax`. */
  constructor(bytesMax: number, entriesWanted: number) {
    const slotsMax = Math.max(slotsMin, Math.floor(bytesMax / slotBytes));
    this.#slots = Math.min(slotsMax, Math.max(slotsMin, Math.ceil(entriesWanted / loadFactor) + 1));
    this.capacity = Math.floor(this.#slots * loadFactor);
    const memory = new ArrayBuffer(this.#slots * slotBytes);
    this.#words = new Uint32Array(memory);
    this.#offsets = new Float64Array(memory);
  }

  get size(): number {
    return this.#size;
  }

  get sizeBytes(): number {
    return this.#slots * slotBytes;
  }

  /** False when the key is new and the map is full. Offsets come in ascending order. */
  put(key: Uint8Array, offset: number): boolean {
    const slot = this.#find(key);
    const at = slot * 3 + 2;
    if (this.#offsets[at] === 0) {
      if (this.#size === this.capacity) return false;
      this.#words.set(this.#hash, slot * 6);
      this.#size++;
    }
    this.#offsets[at] = offset + 1;
    return true;
  }

  /** -1 for a key that is not there. */
  get(key: Uint8Array): number {
    return (this.#offsets[this.#find(key) * 3 + 2] as number) - 1;
  }

  /** The slot of the key, or the free one where it would be. */
  #find(key: Uint8Array): number {
    const digest = hash('sha256', key, 'binary');
    const words = this.#hash;
    for (let i = 0; i < 4; i++) {
      const at = i * 4;
      words[i] =
        digest.charCodeAt(at) |
        (digest.charCodeAt(at + 1) << 8) |
        (digest.charCodeAt(at + 2) << 16) |
        (digest.charCodeAt(at + 3) << 24);
    }
    let slot = (words[0] as number) % this.#slots;
    while (this.#offsets[slot * 3 + 2] !== 0 && !this.#isAt(slot * 6)) slot = slot + 1 === this.#slots ? 0 : slot + 1;
    return slot;
  }

  #isAt(at: number): boolean {
    const words = this.#words;
    const wanted = this.#hash;
    return (
      words[at] === wanted[0] &&
      words[at + 1] === wanted[1] &&
      words[at + 2] === wanted[2] &&
      words[at + 3] === wanted[3]
    );
  }
}
