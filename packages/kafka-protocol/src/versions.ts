/** Versions as Kafka's own message files write them: `3+`, `0-12`, `2`. */
export type Versions = `${number}+` | `${number}-${number}` | `${number}`;

export interface VersionRange {
  readonly min: number;
  /** Infinity for `3+`. */
  readonly max: number;
}

export const noVersions: VersionRange = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };

/** Throws `RangeError`: a declaration is wrong. */
export function parseVersions(text: Versions | 'none'): VersionRange {
  if (text === 'none') return noVersions;
  const match = /^(\d+)(\+|-(\d+))?$/.exec(text);
  if (match === null) throw new RangeError(`'${text}' names no versions: write 3+, 0-12 or 2`);
  const min = Number(match[1]);
  if (match[2] === undefined) return { min, max: min };
  const max = match[3] === undefined ? Number.POSITIVE_INFINITY : Number(match[3]);
  if (max < min) throw new RangeError(`'${text}' names no versions`);
  return { min, max };
}

export function includesVersion(range: VersionRange, version: number): boolean {
  return version >= range.min && version <= range.max;
}
