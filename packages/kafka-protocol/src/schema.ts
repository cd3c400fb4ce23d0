import type { Versions } from './versions.ts';

/** The words in which a message is declared; they are those of Kafka's own message files. */
export interface FieldOptions {
  /** Versions that have the field; default: all of its message. */
  readonly versions?: Versions;
  /** Versions in which it may be null. */
  readonly nullable?: Versions;
  /** What it is when the version does not have it or nobody said; else 0, '', false, an empty list. */
  readonly default?: unknown;
  /** Makes it a tagged field (KIP-482) with this number: written only when it is not its default. */
  readonly tag?: number;
}

type NoOptions = Record<never, never>;

export type FieldType =
  | {
      readonly kind: 'bool' | 'int8' | 'int16' | 'uint16' | 'int32' | 'int64' | 'float64' | 'uuid' | 'string' | 'bytes';
    }
  | { readonly kind: 'array'; readonly of: Field }
  | { readonly kind: 'struct'; readonly fields: Fields };

/** A declared field. `Out` is what decoding gives, `In` what encoding takes; `Optional` says that encoding can do without it. */
export interface Field<Out = unknown, In = unknown, Optional extends boolean = boolean> {
  readonly type: FieldType;
  readonly options: FieldOptions;
  /** Never there: they carry types. */
  readonly out?: Out;
  readonly in?: In;
  readonly optional?: Optional;
}

export type Fields = Readonly<Record<string, Field>>;

type OutOf<F> = F extends { readonly out?: infer Out } ? Out : never;
type InOf<F> = F extends { readonly in?: infer In } ? In : never;
type OptionalKeys<F extends Fields> = {
  [K in keyof F]: F[K] extends { readonly optional?: infer O } ? (true extends O ? K : never) : never;
}[keyof F];

/** A decoded message: every field is there. */
export type Decoded<F extends Fields> = { readonly [K in keyof F]: OutOf<F[K]> };
/** A message to encode: what has a default may be left out. */
export type Encodable<F extends Fields> = {
  readonly [K in Exclude<keyof F, OptionalKeys<F>>]: InOf<F[K]>;
} & { readonly [K in OptionalKeys<F>]?: InOf<F[K]> | undefined };

type OrNull<O, Value> = O extends { readonly nullable: Versions } ? Value | null : Value;
type HasDefault<O> = O extends { readonly default: unknown } ? true : false;
type Simple<O, Value> = Field<OrNull<O, Value>, OrNull<O, Value>, HasDefault<O>>;

function simple<Value>(kind: Exclude<FieldType['kind'], 'array' | 'struct'>) {
  return <const O extends FieldOptions = NoOptions>(options?: O): Simple<O, Value> => ({
    type: { kind },
    options: options ?? {},
  });
}

export const bool = simple<boolean>('bool');
export const int8 = simple<number>('int8');
export const int16 = simple<number>('int16');
export const uint16 = simple<number>('uint16');
export const int32 = simple<number>('int32');
/** A number: exact within the safe integers. */
export const int64 = simple<number>('int64');
export const float64 = simple<number>('float64');
/** 22 characters of base64url; `zeroUuid` is Kafka's "none". */
export const uuid = simple<string>('uuid');
export const string = simple<string>('string');
export const bytes = simple<Uint8Array>('bytes');
/** Record batches: as `bytes`, never copied. Whoever has them in several places need not join them to encode. */
export function records<const O extends FieldOptions = NoOptions>(
  options?: O,
): Field<OrNull<O, Uint8Array>, OrNull<O, Uint8Array | readonly Uint8Array[]>, HasDefault<O>> {
  return { type: { kind: 'bytes' }, options: options ?? {} };
}

export const zeroUuid = 'AAAAAAAAAAAAAAAAAAAAAA';

export function array<Out, In, const O extends FieldOptions = NoOptions>(
  of: Field<Out, In>,
  options?: O,
): Field<OrNull<O, readonly Out[]>, OrNull<O, readonly In[]>, HasDefault<O>> {
  return { type: { kind: 'array', of }, options: options ?? {} };
}

/** A list of structs. */
export function structs<const F extends Fields, const O extends FieldOptions = NoOptions>(
  fields: F,
  options?: O,
): Field<OrNull<O, readonly Decoded<F>[]>, OrNull<O, readonly Encodable<F>[]>, HasDefault<O>> {
  return { type: { kind: 'array', of: { type: { kind: 'struct', fields }, options: {} } }, options: options ?? {} };
}

/** A struct that is always there. */
export function struct<const F extends Fields>(fields: F): Field<Decoded<F>, Encodable<F>, false> {
  return { type: { kind: 'struct', fields }, options: {} };
}

/** A struct that may be missing: nullable, or tagged. */
export function optionalStruct<const F extends Fields>(
  fields: F,
  options: FieldOptions,
): Field<Decoded<F> | null, Encodable<F> | null, true> {
  return { type: { kind: 'struct', fields }, options: { default: null, ...options } };
}
