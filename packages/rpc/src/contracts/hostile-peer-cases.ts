import type { Connection } from '@naru/runtime';
import { describe, expect, test } from 'vitest';
import { brokerMethods } from '../definitions.ts';
import { metadataRequest, type Pair, type TransportWorld } from './transport-world.ts';
import { within } from './within-world.ts';

const http1Request = Buffer.from('GET /metrics HTTP/1.1\r\nHost: broker\r\n\r\n');
const kafkaRequest = Buffer.from('0000001a0012000300000001000a6b61666b612d7465737400', 'hex');
const seeds = 24;

/** A small generator of its own, so that a failing seed can be named. */
function garbage(seed: number): Buffer {
  let state = seed * 2_654_435_761 + 1;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 8;
  };
  return Buffer.from(Array.from({ length: 1 + (next() % 3_000) }, () => next() & 0xff));
}

export function hostilePeerCases(make: () => Promise<TransportWorld>): void {
  describe('peers that do not keep the protocol', () => {
    test(
      'another protocol, or garbage, costs a server that connection and nothing else',
      within(make, async (pair) => {
        const channel = await pair.start();
        const inputs = [http1Request, kafkaRequest, ...Array.from({ length: seeds }, (_, seed) => garbage(seed))];
        for (const input of inputs) await sendAndHear(pair, input);
        expect(await channel.call(brokerMethods.metadata, metadataRequest('well'))).toMatchObject({
          clusterId: 'well',
        });
        expect(pair.errors).toEqual([]);
      }),
    );

    test(
      'garbage after a good beginning, cut at any place, costs the connection and nothing else',
      within(make, async (pair) => {
        await pair.start();
        const good = await recordedClient(pair);
        for (let seed = 0; seed < seeds; seed += 1) {
          const cut = (seed * good.length) / seeds;
          await sendAndHear(pair, Buffer.concat([good.subarray(0, cut), garbage(seed)]));
          await sendAndHear(pair, good.subarray(0, cut));
        }
        const answer = await pair.channel.call(brokerMethods.metadata, metadataRequest('well'));
        expect(answer.clusterId).toBe('well');
      }),
    );

    test(
      'a server that speaks garbage is "unavailable"',
      within(make, async (pair) => {
        for (let seed = 0; seed < seeds; seed += 1) {
          const listener = await pair.world.server.network.listen(pair.world.address, (connection) => {
            connection.handle({ onData: () => {}, onClose: () => {} });
            connection.write([seed === 0 ? Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') : garbage(seed)]);
            connection.end();
          });
          const attempt = pair.clientRpc.connect(listener.address, { timeoutMs: 300 });
          await expect(attempt, `seed ${seed}`).rejects.toMatchObject({ code: 'unavailable' });
          await listener.close();
        }
      }),
    );

    test(
      'a server that vanishes in the middle of everything: each call and stream hears "unavailable" once',
      within(make, async (pair) => {
        const accepted: Connection[] = [];
        const upstream = await pair.start();
        const listener = await relay(pair, accepted);
        const channel = await pair.clientRpc.connect(listener.address);
        pair.onCall = () => new Promise(() => {});
        const calls = Array.from({ length: 5 }, () =>
          channel.call(brokerMethods.metadata, metadataRequest()).then(
            () => 'answered',
            (error: { code: string }) => error.code,
          ),
        );
        const closes: unknown[] = [];
        for (let count = 0; count < 5; count += 1) {
          channel.open(brokerMethods.produce).handle({ onMessage: () => {}, onClose: (error) => closes.push(error) });
        }
        await pair.accepted(5);
        const gone = new Promise<void>((resolve) => channel.onClose(resolve));
        for (const connection of accepted) connection.destroy();
        expect(await Promise.all(calls)).toEqual(Array.from({ length: 5 }, () => 'unavailable'));
        await gone;
        await pair.pass(20);
        expect(closes).toMatchObject(Array.from({ length: 5 }, () => ({ code: 'unavailable' })));
        for (const recorder of pair.recorders) {
          expect(await recorder.closed()).toMatchObject({ code: 'unavailable' });
          expect(recorder.closes).toHaveLength(1);
        }
        expect(upstream.closed).toBe(false);
        await listener.close();
      }),
    );
  });
}

/** Sends the bytes over a connection of its own and waits until the server closes it, or for a moment. */
async function sendAndHear(pair: Pair, bytes: Uint8Array): Promise<void> {
  const connection = await pair.world.client.network.connect(pair.server.address);
  const closed = new Promise<void>((resolve) => {
    connection.handle({ onData: () => {}, onClose: () => resolve() });
  });
  if (bytes.length > 0) connection.write([bytes]);
  await Promise.race([closed, pair.pass(10)]);
  connection.destroy();
}

/** What a real client says on a connection: its greeting and a call. */
async function recordedClient(pair: Pair): Promise<Buffer> {
  const said: Uint8Array[] = [];
  const connections: Connection[] = [];
  const listener = await relay(pair, connections, said);
  const channel = await pair.clientRpc.connect(listener.address);
  await channel.call(brokerMethods.metadata, metadataRequest('recorded'));
  await channel.close();
  await listener.close();
  return Buffer.concat(said);
}

/** A middleman before the server: what it accepted can be cut, what clients say can be overheard. */
async function relay(
  pair: Pair,
  connections: Connection[],
  said: Uint8Array[] = [],
): Promise<{ address: { host: string; port: number }; close(): Promise<void> }> {
  return pair.world.server.network.listen(pair.world.address, (near) => {
    connections.push(near);
    const early: Uint8Array[] = [];
    let far: Connection | undefined;
    near.handle({
      onData: (bytes) => {
        said.push(Buffer.from(bytes));
        if (far === undefined) early.push(bytes);
        else far.write([bytes]);
      },
      onClose: () => far?.destroy(),
    });
    void pair.world.client.network.connect(pair.server.address).then((connection) => {
      far = connection;
      connections.push(connection);
      connection.handle({ onData: (bytes) => near.write([bytes]), onClose: () => near.destroy() });
      if (early.length > 0) connection.write(early);
    });
  });
}
