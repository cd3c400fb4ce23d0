import { type Connection, formatAddress } from '@naru/runtime';
import { describe, expect, test } from 'vitest';
import { brokerMethods } from '../definitions.ts';
import { RpcError } from '../status.ts';
import { metadataRequest, type Pair, produceRequest, type TransportWorld } from './transport-world.ts';
import { within } from './within-world.ts';

export function connectionCases(make: () => Promise<TransportWorld>): void {
  describe('connections', () => {
    closeCases(make);
    limitCases(make);
    idleCases(make);
    hostCases(make);
  });
}

function closeCases(make: () => Promise<TransportWorld>): void {
  test(
    'a connection that the client closes fails what is open on it with "unavailable", on both sides, once',
    within(make, async (pair) => {
      pair.onCall = () => new Promise(() => {});
      const channel = await pair.start();
      let closes = 0;
      channel.onClose(() => {
        closes += 1;
      });
      const { stream, recorder } = pair.open();
      stream.send(produceRequest(1));
      const call = channel.call(brokerMethods.metadata, metadataRequest()).catch((error: unknown) => error);
      await pair.accepted(1);
      await channel.close();
      expect(await recorder.closed()).toMatchObject({ code: 'unavailable' });
      expect(await call).toMatchObject({ code: 'unavailable' });
      expect(await pair.recorders[0]?.closed()).toMatchObject({ code: 'unavailable' });
      expect([closes, channel.closed, recorder.closes.length, pair.recorders[0]?.closes.length]).toEqual([
        1,
        true,
        1,
        1,
      ]);
      channel.onClose(() => {
        closes += 1;
      });
      await expect(channel.call(brokerMethods.metadata, metadataRequest())).rejects.toMatchObject({
        code: 'unavailable',
      });
      expect(await pair.open().recorder.closed()).toMatchObject({ code: 'unavailable' });
      expect(closes).toBe(2);
    }),
  );

  test(
    'a server that closes ends open streams and calls with "unavailable" and lets no one in again',
    within(make, async (pair) => {
      pair.onCall = () => new Promise(() => {});
      const channel = await pair.start();
      const { recorder } = pair.open();
      const call = channel.call(brokerMethods.metadata, metadataRequest()).catch((error: unknown) => error);
      await pair.accepted(1);
      const gone = new Promise<void>((resolve) => channel.onClose(resolve));
      await pair.server.close();
      expect(await recorder.closed()).toMatchObject({ code: 'unavailable' });
      expect(await call).toMatchObject({ code: 'unavailable' });
      expect(await pair.recorders[0]?.closed()).toMatchObject({ code: 'unavailable' });
      await gone;
      await expect(pair.clientRpc.connect(pair.server.address)).rejects.toMatchObject({ code: 'unavailable' });
    }),
  );

  test(
    'a refused connection is "unavailable" and names the address',
    within(make, async (pair) => {
      await pair.start();
      const { address } = pair.server;
      await pair.server.close();
      const failure = await pair.clientRpc.connect(address, { timeoutMs: 500 }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(RpcError);
      expect(failure).toMatchObject({ code: 'unavailable' });
      expect(String(failure)).toContain(formatAddress(address));
    }),
  );

  test(
    'a server that accepts and says nothing is "unavailable" after the timeout',
    within(make, async (pair) => {
      const held: Connection[] = [];
      const listener = await pair.world.server.network.listen(pair.world.address, (connection) => {
        connection.handle({ onData: () => {}, onClose: () => {} });
        held.push(connection);
      });
      await expect(pair.clientRpc.connect(listener.address, { timeoutMs: 100 })).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('100 ms'),
      });
      for (const connection of held) connection.destroy();
      await listener.close();
    }),
  );
}

function limitCases(make: () => Promise<TransportWorld>): void {
  test(
    'one stream too many on a connection is "resource-exhausted", until another one closes',
    within(make, async (pair) => {
      await pair.start({ concurrentStreamsMax: 3 });
      const opened = [pair.open(), pair.open(), pair.open()];
      expect(await pair.open().recorder.closed()).toMatchObject({ code: 'resource-exhausted' });
      await pair.accepted(3);
      opened[0]?.stream.fail();
      await pair.recorders[0]?.closed();
      await pair.pass(10);
      pair.open();
      await pair.accepted(4);
    }),
  );

  test(
    'one connection too many is closed; the others go on',
    within(make, async (pair) => {
      const channel = await pair.start({ connectionsMax: 1 });
      await expect(pair.clientRpc.connect(pair.server.address, { timeoutMs: 500 })).rejects.toMatchObject({
        code: 'unavailable',
      });
      expect(await channel.call(brokerMethods.metadata, metadataRequest('still'))).toMatchObject({
        clusterId: 'still',
      });
    }),
  );
}

function idleCases(make: () => Promise<TransportWorld>): void {
  test(
    'a connection without a call or a stream is closed after "idleMsMax", one with a stream is not',
    within(make, async (pair) => {
      const busy = await pair.start({ keepaliveMs: 100, idleMsMax: 200 });
      const { stream } = pair.open();
      await pair.accepted(1);
      // It comes later and has asked for something: the other one would be gone before it.
      const idle = await pair.clientRpc.connect(pair.server.address);
      await idle.call(brokerMethods.metadata, metadataRequest());
      await new Promise<void>((resolve) => idle.onClose(resolve));
      expect(busy.closed).toBe(false);
      stream.send(produceRequest(1));
      await pair.recorders[0]?.received(1);
      const gone = new Promise<void>((resolve) => busy.onClose(resolve));
      stream.fail();
      await gone;
      expect(await pair.clientRpc.connect(pair.server.address)).toMatchObject({ closed: false });
    }),
  );
}

/** Listens as a broker's client port does: reads four bytes, then decides who gets the connection. */
async function shared(pair: Pair, body: (address: { host: string; port: number }) => Promise<void>): Promise<void> {
  const host = pair.serverRpc.host(pair.services);
  const listener = await pair.world.server.network.listen(pair.world.address, (connection) => {
    const head: Uint8Array[] = [];
    let handedOver = false;
    connection.handle({
      onData: (bytes) => {
        head.push(bytes);
        if (handedOver || Buffer.concat(head).length < 4) return;
        handedOver = true;
        if (Buffer.concat(head).toString('latin1', 0, 4) === 'PRI ') host.accept(connection, head);
        else connection.destroy();
      },
      onClose: () => {},
    });
  });
  try {
    await body(listener.address);
  } finally {
    await host.close();
    await listener.close();
  }
}

function hostCases(make: () => Promise<TransportWorld>): void {
  test(
    'a connection that somebody else accepted and read from is served as any other (one port, two protocols)',
    within(make, (pair) =>
      shared(pair, async (address) => {
        const channel = await pair.clientRpc.connect(address);
        expect(await channel.call(brokerMethods.metadata, metadataRequest('shared'))).toMatchObject({
          clusterId: 'shared',
        });
        const produce = channel.open(brokerMethods.produce);
        const received = new Promise<void>((resolve) => {
          produce.handle({ onMessage: () => {}, onClose: () => resolve() });
        });
        produce.send(produceRequest(1, Buffer.alloc(500_000, 1)));
        await pair.accepted(1);
        await pair.recorders[0]?.received(1);
        await channel.close();
        await received;
      }),
    ),
  );

  test(
    'a connection that nobody has read from is served, too',
    within(make, async (pair) => {
      const host = pair.serverRpc.host(pair.services);
      const { network } = pair.world.server;
      const listener = await network.listen(pair.world.address, (connection) => host.accept(connection, []));
      const channel = await pair.clientRpc.connect(listener.address);
      expect(await channel.call(brokerMethods.metadata, metadataRequest('unread'))).toMatchObject({
        clusterId: 'unread',
      });
      await channel.close();
      await host.close();
      await listener.close();
    }),
  );

  test(
    'a host that closes ends the connections it was given',
    within(make, async (pair) => {
      let gone: Promise<void> | undefined;
      await shared(pair, async (address) => {
        const channel = await pair.clientRpc.connect(address);
        gone = new Promise((resolve) => channel.onClose(resolve));
      });
      await gone;
    }),
  );
}
