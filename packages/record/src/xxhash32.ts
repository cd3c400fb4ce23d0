const prime1 = 0x9e3779b1;
const prime2 = 0x85ebca77;
const prime3 = 0xc2b2ae3d;
const prime4 = 0x27d4eb2f;
const prime5 = 0x165667b1;

/** xxHash32 with seed 0, as an unsigned number: the checksum in LZ4 frames. */
export function xxHash32(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = 0;
  let hash = prime5;
  if (bytes.length >= 16) {
    const lanes = [prime1 + prime2, prime2, 0, -prime1];
    for (; position + 16 <= bytes.length; position += 16) {
      for (let lane = 0; lane < 4; lane++) {
        const sum = (lanes[lane] as number) + Math.imul(view.getUint32(position + lane * 4, true), prime2);
        lanes[lane] = Math.imul(rotated(sum, 13), prime1);
      }
    }
    const [first, second, third, fourth] = lanes as [number, number, number, number];
    hash = rotated(first, 1) + rotated(second, 7) + rotated(third, 12) + rotated(fourth, 18);
  }
  hash = (hash + bytes.length) | 0;
  for (; position + 4 <= bytes.length; position += 4) {
    hash = Math.imul(rotated(hash + Math.imul(view.getUint32(position, true), prime3), 17), prime4);
  }
  for (; position < bytes.length; position++) {
    hash = Math.imul(rotated(hash + Math.imul(bytes[position] as number, prime5), 11), prime1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), prime2);
  hash = Math.imul(hash ^ (hash >>> 13), prime3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
