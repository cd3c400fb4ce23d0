import { type Field, type Fields, zeroUuid } from './schema.ts';
import { includesVersion, parseVersions } from './versions.ts';

/** What of a struct one version has, sorted out once. */
export interface Layout {
  readonly version: number;
  readonly isFlexible: boolean;
}

const noElements: readonly never[] = Object.freeze([]);

export function isInVersion({ options }: Field, version: number): boolean {
  return options.versions === undefined || includesVersion(parseVersions(options.versions), version);
}

export function isNullable({ options }: Field, version: number): boolean {
  return options.nullable !== undefined && includesVersion(parseVersions(options.nullable), version);
}

/** A tagged struct that is never null has no mark of its own: its tag says that it is there. */
export function isTaggedPlain(field: Field, { version }: Layout): boolean {
  return field.type.kind === 'struct' && !isNullable(field, version);
}

/** Fields that stand in their place, in order. */
export function plainFields(fields: Fields, { version, isFlexible }: Layout): readonly (readonly [string, Field])[] {
  return Object.entries(fields).filter(
    ([, field]) => isInVersion(field, version) && !(isFlexible && field.options.tag !== undefined),
  );
}

/** Fields that follow in the tag buffer, by ascending tag. */
export function taggedFields(fields: Fields, { version, isFlexible }: Layout): readonly (readonly [string, Field])[] {
  if (!isFlexible) return [];
  return Object.entries(fields)
    .filter(([, field]) => isInVersion(field, version) && field.options.tag !== undefined)
    .sort(([, a], [, b]) => (a.options.tag as number) - (b.options.tag as number));
}

export function defaultOf({ type, options }: Field): unknown {
  if (options.default !== undefined) return options.default;
  switch (type.kind) {
    case 'bool':
      return false;
    case 'string':
      return '';
    case 'uuid':
      return zeroUuid;
    case 'bytes':
    case 'struct':
      return null;
    case 'array':
      return noElements;
    default:
      return 0;
  }
}

/** Fewest bytes that a value can have on the wire; at least 1, so that a count can always be judged. */
export function bytesMin(field: Field, layout: Layout): number {
  const { type } = field;
  switch (type.kind) {
    case 'bool':
    case 'int8':
      return 1;
    case 'int16':
    case 'uint16':
      return 2;
    case 'int32':
      return 4;
    case 'int64':
    case 'float64':
      return 8;
    case 'uuid':
      return 16;
    case 'string':
      return layout.isFlexible ? 1 : 2;
    case 'bytes':
    case 'array':
      return layout.isFlexible ? 1 : 4;
    case 'struct': {
      if (isNullable(field, layout.version)) return 1;
      const sum = plainFields(type.fields, layout).reduce((total, [, part]) => total + bytesMin(part, layout), 0);
      return Math.max(1, sum + (layout.isFlexible ? 1 : 0));
    }
  }
}
