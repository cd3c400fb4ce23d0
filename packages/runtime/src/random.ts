/** Randomness for jitter, ids and election timeouts; seeded in the simulation. Not for secrets. */
export interface Random {
  /** A float in [0, 1). */
  nextFloat(): number;
  /** An integer in [0, maxExclusive). */
  nextInt(maxExclusive: number): number;
  /** `length` random bytes. */
  nextBytes(length: number): Uint8Array;
}

/** A version 4 UUID in Kafka's notation for topic ids: 16 bytes as base64url without padding, 22 characters (KIP-516). */
export function randomUuid(random: Random): string {
  const bytes = random.nextBytes(16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return Buffer.from(bytes).toString('base64url');
}
