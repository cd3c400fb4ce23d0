/** Both formats name a match by how far back it is, in 16 bits. */
const offsetMax = 0xffff;
const hashBits = 14;
/** A match never begins in a block's last 12 bytes and never covers its last 5: LZ4 asks for it, to Snappy it does no harm. */
const lastStartBytes = 12;
const lastLiteralsBytes = 5;

const matchBytesMin = 4;

/** Last place of each hash. Calls are synchronous and share it. */
const places = new Int32Array(1 << hashBits);

/** `length` bytes at `at` are those `offset` before; what is between `literals` and `at` is new. */
export type OnMatch = (literals: number, at: number, offset: number, length: number) => void;

/** Finds what repeats between `start` and `end`, greedily and looking nowhere else. Returns where the last literals begin. */
export function eachMatch(bytes: Uint8Array, start: number, end: number, onMatch: OnMatch): number {
  places.fill(-1);
  const matchEndMax = end - lastLiteralsBytes;
  let literals = start;
  let position = start;
  let misses = 0;
  while (position <= end - lastStartBytes) {
    const word = wordAt(bytes, position);
    const hash = Math.imul(word, 0x9e3779b1) >>> (32 - hashBits);
    const candidate = places[hash] as number;
    places[hash] = position;
    if (candidate < 0 || position - candidate > offsetMax || wordAt(bytes, candidate) !== word) {
      // Where nothing repeats, it looks less and less closely.
      position += 1 + (misses++ >> 5);
      continue;
    }
    let length = matchBytesMin;
    while (position + length < matchEndMax && bytes[candidate + length] === bytes[position + length]) length++;
    onMatch(literals, position, position - candidate, length);
    position += length;
    literals = position;
    misses = 0;
  }
  return literals;
}

/** Copies `length` bytes from `offset` before `at`; what was just written may be part of what is copied. */
export function repeat(bytes: Uint8Array, at: number, offset: number, length: number): void {
  if (offset >= length) bytes.copyWithin(at, at - offset, at - offset + length);
  else if (offset === 1) bytes.fill(bytes[at - 1] as number, at, at + length);
  else for (let i = at; i < at + length; i++) bytes[i] = bytes[i - offset] as number;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
