import { expect, expectTypeOf, test } from 'vitest';
import { Client } from './client.ts';
import type { Consumer } from './consumer/consumer.ts';
import type { Producer } from './producer/producer.ts';
import * as serdes from './serialization/serdes.ts';

interface Order {
  readonly id: string;
}

test('what serdes say of keys and values, producers and consumers know (checked by the compiler)', async () => {
  const client = new Client({ bootstrapServers: 'localhost:1' });
  const value = serdes.json<Order>();

  expectTypeOf(client.producer()).toEqualTypeOf<Producer<Uint8Array | string, Uint8Array | string>>();
  expectTypeOf(client.producer({ key: serdes.string(), value })).toEqualTypeOf<Producer<string, Order>>();
  expectTypeOf(client.consumer()).toEqualTypeOf<Consumer<Buffer, Buffer>>();
  expectTypeOf(client.consumer({ key: serdes.long(), value })).toEqualTypeOf<Consumer<bigint, Order>>();
  const raw = client.consumer({ value, onDeserializationError: 'raw' });
  expectTypeOf(raw).toEqualTypeOf<Consumer<Buffer, Order | Buffer>>();

  const producer = client.producer({ value });
  // @ts-expect-error an order has an id that is text
  const wrong = () => producer.send({ topic: 'orders', value: { id: 1 } });
  expect(wrong).toBeTypeOf('function');
  await client.close();
});
