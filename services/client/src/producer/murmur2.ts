const seed = 0x9747b28c | 0;
const multiplier = 0x5bd1e995;
const shift = 24;

/** The 32-bit hash by which Kafka's Java client places keys (Kafka: Utils.murmur2), as a signed number. */
export function murmur2(key: Uint8Array): number {
  const length = key.length;
  const wordsEnd = length & ~3;
  let hash = seed ^ length;
  for (let at = 0; at < wordsEnd; at += 4) {
    let word =
      (key[at] as number) |
      ((key[at + 1] as number) << 8) |
      ((key[at + 2] as number) << 16) |
      ((key[at + 3] as number) << 24);
    word = Math.imul(word, multiplier);
    word ^= word >>> shift;
    hash = Math.imul(hash, multiplier) ^ Math.imul(word, multiplier);
  }
  const rest = length & 3;
  if (rest === 3) hash ^= (key[wordsEnd + 2] as number) << 16;
  if (rest >= 2) hash ^= (key[wordsEnd + 1] as number) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ (key[wordsEnd] as number), multiplier);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, multiplier);
  return hash ^ (hash >>> 15);
}

/** The partition of a key, as Kafka's Java client and librdkafka's `murmur2_random` choose it. */
export function partitionForKey(key: Uint8Array, partitionsCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionsCount;
}
