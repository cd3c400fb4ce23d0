import { describe, expect } from 'vitest';
import type { Connection, Listener } from '../network.ts';
import { NetworkError, type NetworkErrorCode } from '../network.ts';
import { inWorld } from './in-world.ts';
import type { MakeWorld, World } from './world.ts';

/** One end as a test sees it: everything that was told to its handler. */
class End {
  readonly connection: Connection;
  #received: Uint8Array[] = [];
  drains = 0;
  readonly closes: (NetworkErrorCode | 'ended')[] = [];

  constructor(connection: Connection) {
    this.connection = connection;
  }

  listen(): this {
    this.connection.handle({
      onData: (bytes) => this.#received.push(bytes),
      onDrain: () => this.drains++,
      onClose: (error) => this.closes.push(error?.code ?? 'ended'),
    });
    return this;
  }

  get receivedBytes(): number {
    return this.#received.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  get text(): string {
    return Buffer.concat(this.#received).toString();
  }
}

interface Pair {
  readonly client: End;
  readonly server: End;
  readonly listener: Listener;
}

const text = (value: string): Uint8Array => Buffer.from(value);

/** What `Network`, `Listener` and `Connection` promise while the network works. */
export function networkContract(make: MakeWorld): void {
  describe('network contract', () => {
    addressContract(make);
    streamContract(make);
    closeContract(make);
  });
}

function addressContract(make: MakeWorld): void {
  const test = inWorld(make);

  test('port 0 takes a free one; a taken one is address-in-use', async (world) => {
    const { network } = world.runtime;
    const first = await world.settle(network.listen({ host: world.host, port: 0 }, () => {}));
    const second = await world.settle(network.listen({ host: world.host, port: 0 }, () => {}));
    expect(first.address.port).toBeGreaterThan(0);
    expect(second.address.port).not.toBe(first.address.port);
    await failsWith('address-in-use', world.settle(network.listen(first.address, () => {})));
    await world.settle(Promise.all([first.close(), second.close()]));
  });

  test('an empty host listens on every address of the machine', async (world) => {
    const { network } = world.runtime;
    expect(network.hostName).not.toBe('');
    const listener = await world.settle(network.listen({ host: '', port: 0 }, (connection) => connection.end()));
    const { port } = listener.address;
    (await world.settle(network.connect({ host: world.host, port }))).destroy();
    await world.settle(listener.close());
  });

  test('nobody listening is refused; after close, too; and the port is free again', async (world) => {
    const { network } = world.runtime;
    const listener = await world.settle(network.listen({ host: world.host, port: 0 }, () => {}));
    await world.settle(listener.close());
    await failsWith('refused', world.settle(network.connect(listener.address)));
    const again = await world.settle(network.listen(listener.address, () => {}));
    await world.settle(again.close());
  });

  test('an unknown host is unreachable', async (world) => {
    await failsWith(
      'unreachable',
      world.settle(world.runtime.network.connect({ host: 'no-such-host.invalid', port: 9 })),
    );
  });

  test('both ends know the other’s address', async (world) => {
    const { client, server, listener } = await connect(world);
    expect(client.connection.remote.port).toBe(listener.address.port);
    expect(server.connection.remote.host).toBe(client.connection.remote.host);
    expect(server.connection.remote.port).not.toBe(listener.address.port);
    await finish(world, { client, server, listener });
  });
}

function streamContract(make: MakeWorld): void {
  const test = inWorld(make);

  test('bytes arrive whole and in order, in both directions', async (world) => {
    const pair = await connect(world);
    pair.client.listen();
    pair.server.listen();
    let expected = '';
    for (let index = 0; index < 200; index++) {
      pair.client.connection.write([text(`${index},`), text(''), text(`${index * 2};`)]);
      expected += `${index},${index * 2};`;
    }
    pair.server.connection.write([text('hello')]);
    await waitFor(world, () => pair.server.receivedBytes === expected.length && pair.client.receivedBytes === 5);
    expect(pair.server.text).toBe(expected);
    expect(pair.client.text).toBe('hello');
    await finish(world, pair);
  });

  test('what arrives before handle waits, and comes after the call', async (world) => {
    const pair = await connect(world);
    pair.client.listen().connection.write([text('early')]);
    await world.pass(30);
    pair.server.listen();
    expect(pair.server.text).toBe('');
    await waitFor(world, () => pair.server.text === 'early');
    await finish(world, pair);
  });

  test('a second handler takes over from the first, and no byte is lost', async (world) => {
    const pair = await connect(world);
    const second = new End(pair.server.connection);
    let sniffed = '';
    pair.server.connection.handle({
      onData: (bytes) => {
        sniffed += Buffer.from(bytes).toString();
        second.listen();
      },
      onClose: () => {},
    });
    pair.client.listen().connection.write([text('abc')]);
    await waitFor(world, () => sniffed !== '');
    pair.client.connection.write([text('def')]);
    await waitFor(world, () => (sniffed + second.text).length === 6);
    expect(sniffed + second.text).toBe('abcdef');
    await finish(world, { ...pair, server: second });
  });

  test('the receiver owns its bytes: changing them does not reach the sender’s', async (world) => {
    const pair = await connect(world);
    const sent = text('abcdef');
    pair.server.connection.handle({ onData: (bytes) => bytes.fill(0), onClose: () => {} });
    pair.client.listen().connection.write([sent]);
    await world.pass(30);
    expect(Buffer.from(sent).toString()).toBe('abcdef');
    await finish(world, pair);
  });

  test('a reader that pauses holds the writer back; after resume all arrives and the writer drains', async (world) => {
    const pair = await connect(world);
    pair.server.listen().connection.pause();
    pair.client.listen();
    const chunk = new Uint8Array(65_536).fill(7);
    let written = 0;
    while (pair.client.connection.write([chunk])) {
      written++;
      if (written % 16 === 0) await world.pass(1);
      expect(written).toBeLessThan(1_000);
    }
    expect(pair.client.connection.pendingBytes).toBeGreaterThan(0);
    expect(pair.client.drains).toBe(0);
    await world.pass(20);
    expect(pair.server.receivedBytes).toBe(0);
    pair.server.connection.resume();
    await waitFor(world, () => pair.server.receivedBytes === (written + 1) * chunk.length && pair.client.drains === 1);
    expect(pair.client.connection.pendingBytes).toBe(0);
    await finish(world, pair);
  });
}

function closeContract(make: MakeWorld): void {
  const test = inWorld(make);

  test('end sends what waits, then both ends close without an error', async (world) => {
    const pair = await connect(world);
    pair.server.listen();
    pair.client.listen().connection.write([new Uint8Array(300_000)]);
    pair.client.connection.end();
    expect(pair.client.connection.write([text('late')])).toBe(false);
    await waitFor(world, () => pair.client.closes.length === 1 && pair.server.closes.length === 1);
    expect(pair.server.receivedBytes).toBe(300_000);
    expect([pair.client.closes, pair.server.closes]).toEqual([['ended'], ['ended']]);
    await world.settle(pair.listener.close());
  });

  test('an end that is answered still brings what the other side had to say', async (world) => {
    const pair = await connect(world);
    pair.client.listen();
    pair.server.listen().connection.write([text('last words')]);
    pair.server.connection.end();
    await waitFor(world, () => pair.client.closes.length === 1);
    expect(pair.client.text).toBe('last words');
    await world.settle(pair.listener.close());
  });

  test('destroy closes this end with closed, the other with reset, once each', async (world) => {
    const pair = await connect(world);
    pair.client.listen();
    pair.server.listen();
    pair.client.connection.destroy();
    expect(pair.client.closes).toEqual([]);
    pair.client.connection.destroy();
    await waitFor(world, () => pair.client.closes.length === 1 && pair.server.closes.length === 1);
    pair.server.connection.destroy();
    await world.pass(20);
    expect([pair.client.closes, pair.server.closes]).toEqual([['closed'], ['reset']]);
    expect(pair.client.connection.write([text('late')])).toBe(false);
    await world.settle(pair.listener.close());
  });

  test('a close before handle is told after it', async (world) => {
    const pair = await connect(world);
    pair.client.listen().connection.destroy();
    await world.pass(30);
    pair.server.listen();
    expect(pair.server.closes).toEqual([]);
    await waitFor(world, () => pair.server.closes.length === 1);
    await world.settle(pair.listener.close());
  });

  test('a listener that closes leaves its connections open', async (world) => {
    const pair = await connect(world);
    await world.settle(pair.listener.close());
    pair.server.listen();
    pair.client.listen().connection.write([text('still here')]);
    await waitFor(world, () => pair.server.text === 'still here');
    await finish(world, pair);
  });
}

async function connect(world: World): Promise<Pair> {
  const accepted: Connection[] = [];
  const { network } = world.runtime;
  const listener = await world.settle(network.listen({ host: world.host, port: 0 }, (end) => accepted.push(end)));
  const client = await world.settle(network.connect(listener.address));
  await waitFor(world, () => accepted.length === 1);
  return { client: new End(client), server: new End(accepted[0] as Connection), listener };
}

async function finish(world: World, { client, server, listener }: Pair): Promise<void> {
  client.connection.destroy();
  server.connection.destroy();
  await world.settle(listener.close());
}

/** Time passes in steps; both worlds get the same patience. */
async function waitFor(world: World, condition: () => boolean): Promise<void> {
  for (let step = 0; step < 1_000; step++) {
    if (condition()) return;
    await world.pass(2);
  }
  expect(condition(), `did not happen: ${condition}`).toBe(true);
}

async function failsWith(code: NetworkErrorCode, promise: Promise<unknown>): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(NetworkError);
  expect(error).toMatchObject({ code });
  expect((error as Error).message).not.toContain('\n');
}
