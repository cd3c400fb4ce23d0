import { crc32 } from 'node:zlib';

/** What a record says of itself. */
export interface ValueIdentity {
  readonly producer: number;
  /** Place among all sends of this producer. */
  readonly sequence: number;
}

/**
 * `3:1041:9f0c2b11:xxxx…`: producer, sequence, the CRC of all the rest, filler that follows from the identity. Two different sends never
 * have the same bytes, and half of one, or parts of two, have a wrong CRC.
 */
export function encodeValue({ producer, sequence }: ValueIdentity, sizeBytes: number): string {
  const identity = `${producer}:${sequence}:`;
  const seed = crc32(identity).toString(36);
  const fillerBytes = Math.max(0, sizeBytes - identity.length - 9);
  const filler = seed.repeat(Math.ceil(fillerBytes / seed.length)).slice(0, fillerBytes);
  return `${identity}${checksum(identity, filler)}:${filler}`;
}

/** Undefined: torn, these are not the bytes of any send. */
export function decodeValue(value: Uint8Array | null): ValueIdentity | undefined {
  if (value === null) return undefined;
  const match = /^(\d+):(\d+):([0-9a-f]{8}):([0-9a-z]*)$/.exec(Buffer.from(value).toString('latin1'));
  if (match === null) return undefined;
  const [, producer, sequence, crc, filler] = match as unknown as [string, string, string, string, string];
  if (checksum(`${producer}:${sequence}:`, filler) !== crc) return undefined;
  return { producer: Number(producer), sequence: Number(sequence) };
}

function checksum(identity: string, filler: string): string {
  return crc32(`${identity}${filler}`).toString(16).padStart(8, '0');
}
