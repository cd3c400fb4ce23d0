import { type Decode, structDecoder } from './decoder.ts';
import { type Encode, structEncoder } from './encoder.ts';
import type { Reader } from './reader.ts';
import type { Decoded, Encodable, Fields } from './schema.ts';
import { includesVersion, type VersionRange } from './versions.ts';
import type { Writer } from './writer.ts';

/** One direction of an API: its declaration, and the functions that follow from it, each version's made when it is first used. */
export class Message<F extends Fields> {
  readonly fields: F;
  readonly #flexible: VersionRange;
  readonly #decoders: (Decode | undefined)[] = [];
  readonly #encoders: (Encode | undefined)[] = [];

  constructor(fields: F, flexible: VersionRange) {
    this.fields = fields;
    this.#flexible = flexible;
  }

  /** Throws `ProtocolError`. Byte fields are views of what is read. */
  decode(reader: Reader, version: number): Decoded<F> {
    let decode = this.#decoders[version];
    if (decode === undefined) {
      decode = structDecoder(this.fields, this.#layout(version));
      this.#decoders[version] = decode;
    }
    return decode(reader) as Decoded<F>;
  }

  encode(writer: Writer, version: number, value: Encodable<F>): void {
    let encode = this.#encoders[version];
    if (encode === undefined) {
      encode = structEncoder(this.fields, this.#layout(version));
      this.#encoders[version] = encode;
    }
    encode(writer, value);
  }

  #layout(version: number): { readonly version: number; readonly isFlexible: boolean } {
    return { version, isFlexible: includesVersion(this.#flexible, version) };
  }
}
