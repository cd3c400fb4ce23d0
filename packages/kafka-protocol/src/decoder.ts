import {
  bytesMin,
  defaultOf,
  isNullable,
  isTaggedPlain,
  type Layout,
  plainFields,
  taggedFields,
} from './field-layout.ts';
import { limits } from './limits.ts';
import { ProtocolError } from './protocol-error.ts';
import type { Reader } from './reader.ts';
import type { Field, Fields } from './schema.ts';

export type Decode = (reader: Reader) => unknown;

/**
 * Puts together the function that reads a struct in one version. All questions of version, flexibility and nullability are answered here, once; what is
 * left for run time is one call per field.
 */
export function structDecoder(fields: Fields, layout: Layout): Decode {
  // Cloning a template gives all values of a struct the same shape, and fields that the version does not have their defaults.
  const template = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, defaultOf(field)]));
  const plain = plainFields(fields, layout);
  const names = plain.map(([name]) => name);
  const decoders = plain.map(([, field]) => fieldDecoder(field, layout));
  const readTags = layout.isFlexible ? tagsDecoder(fields, layout) : undefined;
  return (reader) => {
    const value = { ...template };
    for (let i = 0; i < names.length; i++) value[names[i] as string] = (decoders[i] as Decode)(reader);
    readTags?.(reader, value);
    return value;
  };
}

function fieldDecoder(field: Field, layout: Layout): Decode {
  const { type } = field;
  const decode = valueDecoder(field, layout);
  switch (type.kind) {
    case 'string':
    case 'bytes':
    case 'array':
      return isNullable(field, layout.version) ? decode : notNull(decode);
    case 'struct':
      return isNullable(field, layout.version) ? nullableStruct(field, decode) : decode;
    default:
      return decode;
  }
}

/** Kafka's mark is a byte, and in a tagged field a varint: -1 or 0 for null. */
function nullableStruct({ options }: Field, decode: Decode): Decode {
  const nullMark = options.tag === undefined ? -1 : 0;
  return (reader) => (reader.int8() <= nullMark ? null : decode(reader));
}

function notNull(decode: Decode): Decode {
  return (reader) => {
    const value = decode(reader);
    if (value === null) throw new ProtocolError('malformed', 'null where it is not allowed');
    return value;
  };
}

function valueDecoder({ type }: Field, layout: Layout): Decode {
  const { isFlexible } = layout;
  switch (type.kind) {
    case 'bool':
      return (reader) => reader.bool();
    case 'int8':
      return (reader) => reader.int8();
    case 'int16':
      return (reader) => reader.int16();
    case 'uint16':
      return (reader) => reader.uint16();
    case 'int32':
      return (reader) => reader.int32();
    case 'int64':
      return (reader) => reader.int64();
    case 'float64':
      return (reader) => reader.float64();
    case 'uuid':
      return (reader) => reader.uuid();
    case 'string':
      return isFlexible ? (reader) => reader.string(reader.compactLength()) : (reader) => reader.string(reader.int16());
    case 'bytes':
      return isFlexible ? (reader) => reader.bytes(reader.compactLength()) : (reader) => reader.bytes(reader.int32());
    case 'array':
      return arrayDecoder(type.of, layout);
    case 'struct':
      return structDecoder(type.fields, layout);
  }
}

function arrayDecoder(element: Field, layout: Layout): Decode {
  const decode = fieldDecoder(element, layout);
  const elementBytesMin = bytesMin(element, layout);
  const { isFlexible } = layout;
  return (reader) => {
    const count = reader.checkCount(isFlexible ? reader.compactLength() : reader.int32(), elementBytesMin);
    if (count === -1) return null;
    const values: unknown[] = [];
    for (let i = 0; i < count; i++) values.push(decode(reader));
    return values;
  };
}

/** Reads the tags it knows, skips the others; they must ascend (KIP-482). */
function tagsDecoder(fields: Fields, layout: Layout): (reader: Reader, value: Record<string, unknown>) => void {
  const byTag = new Map(
    taggedFields(fields, layout).map(([name, field]) => [
      field.options.tag as number,
      { name, decode: isTaggedPlain(field, layout) ? valueDecoder(field, layout) : fieldDecoder(field, layout) },
    ]),
  );
  return (reader, value) => {
    const count = reader.unsignedVarint();
    if (count > limits.tagsMax) throw new ProtocolError('too-large', `${count} tagged fields`);
    let last = -1;
    for (let i = 0; i < count; i++) {
      const tag = reader.unsignedVarint();
      if (tag <= last) throw new ProtocolError('malformed', 'tagged fields do not ascend');
      last = tag;
      readTag(reader, byTag.get(tag), value);
    }
  };
}

function readTag(
  reader: Reader,
  known: { readonly name: string; readonly decode: Decode } | undefined,
  value: Record<string, unknown>,
): void {
  const size = reader.unsignedVarint();
  if (known === undefined) {
    reader.skip(size);
    return;
  }
  const end = reader.position + size;
  value[known.name] = known.decode(reader);
  if (reader.position !== end) throw new ProtocolError('malformed', 'a tagged field has another size than it says');
}
