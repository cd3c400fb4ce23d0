const shardCount = 256;

/**
 * An immutable map of which a changed version shares all but the changed parts: with ten thousand topics a change of one costs a copy of forty entries, and
 * what differs between two versions is found without looking at the rest. Iteration has no particular order.
 */
export class SharedMap<Value> implements ReadonlyMap<string, Value> {
  readonly size: number;
  readonly #shards: readonly ReadonlyMap<string, Value>[];

  private constructor(shards: readonly ReadonlyMap<string, Value>[], size: number) {
    this.#shards = shards;
    this.size = size;
  }

  static empty<Value>(): SharedMap<Value> {
    const none: ReadonlyMap<string, Value> = new Map();
    return new SharedMap<Value>(new Array<ReadonlyMap<string, Value>>(shardCount).fill(none), 0);
  }

  get(key: string): Value | undefined {
    return this.#shards[shardOf(key)]?.get(key);
  }

  has(key: string): boolean {
    return this.#shards[shardOf(key)]?.has(key) ?? false;
  }

  /** The map after the changes; `undefined` removes. */
  with(changes: ReadonlyMap<string, Value | undefined>): SharedMap<Value> {
    if (changes.size === 0) return this;
    const shards = [...this.#shards];
    const copied = new Map<number, Map<string, Value>>();
    let { size } = this;
    for (const [key, value] of changes) {
      const index = shardOf(key);
      let shard = copied.get(index);
      if (shard === undefined) {
        shard = new Map(shards[index]);
        copied.set(index, shard);
        shards[index] = shard;
      }
      size -= shard.size;
      if (value === undefined) shard.delete(key);
      else shard.set(key, value);
      size += shard.size;
    }
    return new SharedMap(shards, size);
  }

  /** The keys whose values in the two maps are not the same object. */
  static *differences<Value>(before: SharedMap<Value>, after: SharedMap<Value>): Iterable<string> {
    if (before === after) return;
    for (let index = 0; index < shardCount; index++) {
      const next = after.#shards[index] as ReadonlyMap<string, Value>;
      const old = before.#shards[index] as ReadonlyMap<string, Value>;
      if (old === next) continue;
      for (const [key, value] of next) if (old.get(key) !== value) yield key;
      for (const key of old.keys()) if (!next.has(key)) yield key;
    }
  }

  *entries(): MapIterator<[string, Value]> {
    for (const shard of this.#shards) if (shard.size > 0) yield* shard;
  }

  *keys(): MapIterator<string> {
    for (const shard of this.#shards) if (shard.size > 0) yield* shard.keys();
  }

  *values(): MapIterator<Value> {
    for (const shard of this.#shards) if (shard.size > 0) yield* shard.values();
  }

  [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries();
  }

  forEach(callback: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [key, value] of this) callback(value, key, this);
  }
}

/** FNV-1a, folded to a shard. */
function shardOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return (hash ^ (hash >>> 16)) & (shardCount - 1);
}
