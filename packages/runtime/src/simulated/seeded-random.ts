import { assert } from '../assert.ts';
import type { Random } from '../random.ts';

/** xoshiro128** (Blackman and Vigna), seeded from text by FNV-1a and a SplitMix-like finalizer. */
export class SeededRandom implements Random {
  readonly #seed: string;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: string) {
    this.#seed = seed;
    const next = mixer(hashText(seed));
    this.#a = next();
    this.#b = next();
    this.#c = next();
    // The state must not be all zeros.
    this.#d = next() | 1;
  }

  /** An independent stream: what one part of the world draws does not shift what another part gets. */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.#seed}/${name}`);
  }

  nextFloat(): number {
    return ((this.#next32() >>> 5) * 67_108_864 + (this.#next32() >>> 6)) / 9_007_199_254_740_992;
  }

  nextInt(maxExclusive: number): number {
    assert(Number.isInteger(maxExclusive) && maxExclusive > 0, `bad range ${maxExclusive}`);
    return Math.floor(this.nextFloat() * maxExclusive);
  }

  nextBytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index++) bytes[index] = this.#next32() >>> 24;
    return bytes;
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return probability > 0 && this.nextFloat() < probability;
  }

  /** Draws from a delay's distribution, in milliseconds. */
  delayMs(delay: Delay): number {
    const spreadMs = delay.meanMs - delay.minMs;
    return spreadMs > 0 ? delay.minMs - Math.log(1 - this.nextFloat()) * spreadMs : delay.minMs;
  }

  #next32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }
}

/** How long something takes: at least `minMs`, `meanMs` on average, exponentially distributed above the minimum. */
export interface Delay {
  readonly minMs: number;
  readonly meanMs: number;
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

export function hashText(text: string, start = 0x811c9dc5): number {
  let hash = start;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash | 0;
}

function mixer(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
}
