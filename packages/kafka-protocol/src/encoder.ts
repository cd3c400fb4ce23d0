import { defaultOf, isNullable, isTaggedPlain, type Layout, plainFields, taggedFields } from './field-layout.ts';
import { ProtocolError } from './protocol-error.ts';
import type { Field, Fields } from './schema.ts';
import { Writer } from './writer.ts';

export type Encode = (writer: Writer, value: unknown) => void;

/** The counterpart of `structDecoder`. Fields that the version does not have are left out without a word, as Kafka's "ignorable" ones. */
export function structEncoder(fields: Fields, layout: Layout): Encode {
  const plain = plainFields(fields, layout);
  const names = plain.map(([name]) => name);
  const encoders = plain.map(([, field]) => fieldEncoder(field, layout));
  const defaults = plain.map(([, field]) => defaultOf(field));
  const writeTags = layout.isFlexible ? tagsEncoder(fields, layout) : undefined;
  return (writer, struct) => {
    const values = struct as Readonly<Record<string, unknown>>;
    for (let i = 0; i < names.length; i++) {
      const value = values[names[i] as string];
      (encoders[i] as Encode)(writer, value === undefined ? defaults[i] : value);
    }
    writeTags?.(writer, values);
  };
}

function fieldEncoder(field: Field, layout: Layout): Encode {
  const { type } = field;
  const encode = valueEncoder(field, layout);
  switch (type.kind) {
    case 'string':
    case 'bytes':
    case 'array':
      return isNullable(field, layout.version) ? encode : notNull(encode);
    case 'struct':
      return isNullable(field, layout.version)
        ? (writer, value) => {
            writer.int8(value === null ? -1 : 1);
            if (value !== null) encode(writer, value);
          }
        : notNull(encode);
    default:
      return encode;
  }
}

function notNull(encode: Encode): Encode {
  return (writer, value) => {
    if (value === null) throw new ProtocolError('malformed', 'null where this version does not allow it');
    encode(writer, value);
  };
}

function valueEncoder({ type }: Field, layout: Layout): Encode {
  const { isFlexible } = layout;
  switch (type.kind) {
    case 'bool':
      return (writer, value) => writer.bool(value as boolean);
    case 'int8':
      return (writer, value) => writer.int8(value as number);
    case 'int16':
    case 'uint16':
      return (writer, value) => writer.int16(value as number);
    case 'int32':
      return (writer, value) => writer.int32(value as number);
    case 'int64':
      return (writer, value) => writer.int64(value as number);
    case 'float64':
      return (writer, value) => writer.float64(value as number);
    case 'uuid':
      return (writer, value) => writer.uuid(value as string);
    case 'string':
      return (writer, value) => writer.string(value as string | null, isFlexible);
    case 'bytes':
      return (writer, value) => writer.bytes(value as Uint8Array | readonly Uint8Array[] | null, isFlexible);
    case 'array':
      return arrayEncoder(type.of, layout);
    case 'struct':
      return structEncoder(type.fields, layout);
  }
}

function arrayEncoder(element: Field, layout: Layout): Encode {
  const encode = fieldEncoder(element, layout);
  const { isFlexible } = layout;
  return (writer, value) => {
    const values = value as readonly unknown[] | null;
    writer.length(values === null ? -1 : values.length, isFlexible);
    if (values === null) return;
    for (const one of values) encode(writer, one);
  };
}

function tagsEncoder(fields: Fields, layout: Layout): Encode {
  const tagged = taggedFields(fields, layout).map(([name, field]) => ({
    name,
    tag: field.options.tag as number,
    default: defaultOf(field),
    // A tagged struct is there or not; Kafka marks it as present where it may be null besides.
    encode: isTaggedPlain(field, layout) ? valueEncoder(field, layout) : fieldEncoder(field, layout),
  }));
  if (tagged.length === 0) return (writer) => writer.unsignedVarint(0);
  return (writer, struct) => {
    const values = struct as Readonly<Record<string, unknown>>;
    const present = tagged.filter((field) => !isDefault(values[field.name], field.default));
    writer.unsignedVarint(present.length);
    for (const { name, tag, encode } of present) {
      const content = new Writer();
      encode(content, values[name]);
      writer.unsignedVarint(tag);
      writer.unsignedVarint(content.size);
      for (const chunk of content.finish()) writer.raw(chunk);
    }
  };
}

function isDefault(value: unknown, standard: unknown): boolean {
  if (value === undefined || value === standard) return true;
  return Array.isArray(value) && Array.isArray(standard) && value.length === 0 && standard.length === 0;
}
