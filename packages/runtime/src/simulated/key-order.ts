/** Compares strings as their UTF-8 bytes do. UTF-16 sorts the same but for surrogates, which stand for the highest characters. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** Where `key` is, or would be inserted, in a sorted list. */
export function positionOf(keys: readonly string[], key: string): number {
  // Logs grow at the end: most new keys are the last.
  const last = keys.at(-1);
  if (last === undefined || compareKeys(last, key) < 0) return keys.length;
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(keys[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
