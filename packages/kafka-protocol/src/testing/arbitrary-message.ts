import fc from 'fast-check';
import { defaultOf, isInVersion, isNullable, type Layout } from '../field-layout.ts';
import type { Field, Fields } from '../schema.ts';

const int = (bits: number) => fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 });
const uuids = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('base64url'));

/** Values of a message as one version can carry them: what the version does not have is its default. */
export function arbitraryMessage(fields: Fields, layout: Layout): fc.Arbitrary<Record<string, unknown>> {
  const parts = Object.entries(fields).map(([name, field]) => [name, arbitraryField(field, layout)] as const);
  return fc.record(Object.fromEntries(parts));
}

function arbitraryField(field: Field, layout: Layout): fc.Arbitrary<unknown> {
  if (!isInVersion(field, layout.version)) return fc.constant(defaultOf(field));
  const isTaggedStruct = field.type.kind === 'struct' && field.options.tag !== undefined;
  const value = arbitraryValue(field, layout);
  return isNullable(field, layout.version) || isTaggedStruct ? fc.option(value, { nil: null, freq: 4 }) : value;
}

function arbitraryValue({ type }: Field, layout: Layout): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'bool':
      return fc.boolean();
    case 'int8':
      return int(8);
    case 'int16':
      return int(16);
    case 'uint16':
      return fc.integer({ min: 0, max: 65_535 });
    case 'int32':
      return int(32);
    case 'int64':
      return fc.maxSafeInteger();
    case 'float64':
      return fc.double({ noNaN: true });
    case 'uuid':
      return uuids;
    case 'string':
      return fc.string({ unit: 'grapheme', maxLength: 12 });
    case 'bytes':
      // Also such that are not copied.
      return fc
        .oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(new Uint8Array(3_000).fill(7)))
        .map((b) => Buffer.from(b));
    case 'array':
      return fc.array(arbitraryField(type.of, layout), { maxLength: 3 });
    case 'struct':
      return arbitraryMessage(type.fields, layout);
  }
}
