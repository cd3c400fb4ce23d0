import type { StoreOperation } from '../store.ts';
import type { PowerLossMode } from './file-content.ts';
import { positionOf } from './key-order.ts';
import type { SeededRandom } from './seeded-random.ts';

/** What a store holds: an ordered map, and the batches that a power cut could still take away. */
export class StoreContent {
  readonly #values = new Map<string, Uint8Array>();
  #keys: string[] = [];
  readonly #durable = new Map<string, Uint8Array>();
  #pending: (readonly StoreOperation[])[] = [];

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key);
  }

  range(from: string, to: string, limit: number): [key: string, value: Uint8Array][] {
    const start = positionOf(this.#keys, from);
    const end = Math.min(positionOf(this.#keys, to), start + limit);
    return this.#keys.slice(start, Math.max(start, end)).map((key) => [key, this.#values.get(key) as Uint8Array]);
  }

  sizes(): Map<string, number> {
    return new Map(this.#keys.map((key) => [key, this.get(key)?.length ?? 0]));
  }

  /** Damage at rest: in what can be read, and in what a power cut leaves. Nothing happens beyond the value's end. */
  flipBit(key: string, position: number, bit: number): void {
    for (const values of [this.#values, this.#durable]) {
      const value = values.get(key);
      if (value === undefined || position >= value.length) continue;
      const damaged = new Uint8Array(value);
      damaged[position] = (value[position] as number) ^ (1 << bit);
      values.set(key, damaged);
    }
  }

  apply(operations: readonly StoreOperation[]): void {
    for (const operation of operations) {
      if (operation.kind === 'put') this.#put(operation.key, operation.value);
      else this.#delete(operation.key);
    }
    this.#pending.push(operations);
  }

  /** The write-ahead log is one file: a sync covers every batch before it. */
  sync(): void {
    for (const operations of this.#pending) applyTo(this.#durable, operations);
    this.#pending = [];
  }

  /** A failed sync: readable as long as the process runs, and then gone. */
  forget(): void {
    this.#pending = [];
  }

  /** Batches vanish whole and from the end: the log's records carry checksums and are read up to the first bad one. */
  losePower(mode: PowerLossMode, random: SeededRandom): void {
    const whole =
      mode === 'random' ? random.nextInt(this.#pending.length + 1) : mode === 'kept' ? this.#pending.length : 0;
    for (const operations of this.#pending.slice(0, whole)) applyTo(this.#durable, operations);
    this.#pending = [];
    this.#values.clear();
    for (const [key, value] of this.#durable) this.#values.set(key, value);
    this.#keys = [];
    for (const key of this.#durable.keys()) this.#insertKey(key);
  }

  #put(key: string, value: Uint8Array): void {
    if (!this.#values.has(key)) this.#insertKey(key);
    this.#values.set(key, value);
  }

  #insertKey(key: string): void {
    this.#keys.splice(positionOf(this.#keys, key), 0, key);
  }

  #delete(key: string): void {
    if (this.#values.delete(key)) this.#keys.splice(positionOf(this.#keys, key), 1);
  }
}

function applyTo(values: Map<string, Uint8Array>, operations: readonly StoreOperation[]): void {
  for (const operation of operations) {
    if (operation.kind === 'put') values.set(operation.key, operation.value);
    else values.delete(operation.key);
  }
}
