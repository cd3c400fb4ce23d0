import { limits, ProtocolError, type Reader } from '@naru/kafka-protocol';

/**
 * Reads the fields of one of Kafka's records, whose older versions have plain lengths and whose flexible versions (KIP-482) have compact ones and
 * tagged fields. Throws `ProtocolError`.
 */
export class FieldReader {
  readonly #reader: Reader;
  readonly #isFlexible: boolean;

  constructor(reader: Reader, isFlexible: boolean) {
    this.#reader = reader;
    this.#isFlexible = isFlexible;
  }

  nullableString(): string | null {
    return this.#reader.string(this.#isFlexible ? this.#reader.compactLength() : this.#reader.int16());
  }

  string(field: string): string {
    return notNull(this.nullableString(), field);
  }

  /** A copy: what is kept must not hold the whole batch. */
  bytes(field: string): Uint8Array {
    const length = this.#length();
    return Uint8Array.from(notNull(this.#reader.bytes(length), field));
  }

  count(elementBytesMin: number, field: string): number {
    const length = this.#length();
    const count = this.#reader.checkCount(length, elementBytesMin);
    if (count < 0) throw new ProtocolError('malformed', `${field} is null`);
    return count;
  }

  /** Tags that a newer version added; nothing here has one that matters. */
  skipTags(): void {
    if (!this.#isFlexible) return;
    const count = this.#reader.unsignedVarint();
    if (count > limits.tagsMax) throw new ProtocolError('too-large', `${count} tagged fields`);
    for (let i = 0; i < count; i++) {
      this.#reader.unsignedVarint();
      this.#reader.skip(this.#reader.unsignedVarint());
    }
  }

  #length(): number {
    return this.#isFlexible ? this.#reader.compactLength() : this.#reader.int32();
  }
}

function notNull<Value>(value: Value | null, field: string): Value {
  if (value === null) throw new ProtocolError('malformed', `${field} is null`);
  return value;
}
