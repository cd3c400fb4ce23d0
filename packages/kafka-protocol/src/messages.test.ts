import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Layout } from './field-layout.ts';
import type { Message } from './message.ts';
import { allApis } from './messages/index.ts';
import { ProtocolError } from './protocol-error.ts';
import { Reader } from './reader.ts';
import type { Fields } from './schema.ts';
import { arbitraryMessage } from './testing/arbitrary-message.ts';
import { includesVersion } from './versions.ts';
import { Writer } from './writer.ts';

interface Case {
  readonly name: string;
  readonly message: Message<Fields>;
  readonly layout: Layout;
}

const cases: readonly Case[] = allApis.flatMap((api) =>
  (['request', 'response'] as const).flatMap((direction) =>
    Array.from({ length: api.versions.max - api.versions.min + 1 }, (_, i) => {
      const version = api.versions.min + i;
      const layout = { version, isFlexible: includesVersion(api.flexible, version) };
      return { name: `${api.name} ${direction} v${version}`, message: api[direction], layout };
    }),
  ),
);

function encoded({ message, layout }: Case, value: Record<string, unknown>): Buffer {
  const writer = new Writer();
  message.encode(writer, layout.version, value);
  return Buffer.concat(writer.finish());
}

function decoded({ message, layout }: Case, bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = message.decode(reader, layout.version);
  reader.finish();
  return value;
}

/** Only typed errors; a value is fine, for not every change of a message makes it another one. */
function decodesOrRefuses(one: Case, bytes: Uint8Array): void {
  try {
    decoded(one, bytes);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
}

describe.each(cases)('$name', (one) => {
  const values = arbitraryMessage(one.message.fields, one.layout);

  test('what is encoded is decoded as it was', () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(decoded(one, encoded(one, value))).toEqual(value);
      }),
      { numRuns: 30 },
    );
  });

  test('cut at any byte it is refused as truncated or malformed', () => {
    fc.assert(
      fc.property(values, (value) => {
        const whole = encoded(one, value);
        for (let size = 0; size < Math.min(whole.length, 400); size++) {
          expect(() => decoded(one, whole.subarray(0, size))).toThrow(ProtocolError);
        }
      }),
      { numRuns: 3 },
    );
  });

  test('changed bytes are decoded or refused, never more', () => {
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(values, fc.array(change, { minLength: 1, maxLength: 4 }), (value, changes) => {
        const bytes = encoded(one, value);
        for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        decodesOrRefuses(one, bytes);
      }),
      { numRuns: 60 },
    );
  });

  test('any bytes are decoded or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => decodesOrRefuses(one, bytes)),
      { numRuns: 60 },
    );
  });
});

test('a long run of changed messages of all kinds neither crashes nor hangs', () => {
  const any = fc.constantFrom(...cases).chain((one) =>
    fc.record({
      one: fc.constant(one),
      value: arbitraryMessage(one.message.fields, one.layout),
      at: fc.nat(),
      inserted: fc.uint8Array({ maxLength: 12 }),
    }),
  );
  fc.assert(
    fc.property(any, ({ one, value, at, inserted }) => {
      const bytes = encoded(one, value);
      const cut = bytes.length === 0 ? 0 : at % bytes.length;
      decodesOrRefuses(one, Buffer.concat([bytes.subarray(0, cut), inserted, bytes.subarray(cut)]));
      decodesOrRefuses(one, Buffer.concat([bytes.subarray(0, cut), inserted]));
    }),
    { numRuns: Number(process.env.NARU_FUZZ_RUNS ?? 5_000) },
  );
});
