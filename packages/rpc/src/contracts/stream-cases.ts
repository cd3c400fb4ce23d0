import { describe, expect, test } from 'vitest';
import { RpcError } from '../status.ts';
import { pendingBytesHighWater } from '../stream/message-stream.ts';
import { produceRequest, produceResponse, type TransportWorld } from './transport-world.ts';
import { within } from './within-world.ts';

const mebibyte = 1_048_576;

function patterned(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index += 1) bytes[index] = (index * 31 + (index >>> 8)) & 0xff;
  return bytes;
}

export function streamCases(make: () => Promise<TransportWorld>): void {
  describe('streams', () => {
    orderCases(make);
    endingCases(make);
    sizeCases(make);
    backpressureCases(make);
  });
}

function orderCases(make: () => Promise<TransportWorld>): void {
  test(
    'messages arrive in order, both ways, and the good end of both sides is heard once',
    within(make, async (pair) => {
      pair.onStream = (accepted, recorder) => {
        recorder.onEach = (message) => accepted.send(produceResponse(message.correlationId));
        void recorder.until(() => recorder.ends > 0).then(() => accepted.end());
      };
      await pair.start();
      const { stream, recorder } = pair.open();
      const ids = Array.from({ length: 3_000 }, (_, index) => index + 1);
      for (const id of ids) stream.send(produceRequest(id));
      stream.end();
      expect(await recorder.closed()).toBeUndefined();
      expect(recorder.messages.map((message) => message.correlationId)).toEqual(ids);
      const server = pair.recorders[0];
      expect(await server?.closed()).toBeUndefined();
      expect(server?.messages.map((message) => message.correlationId)).toEqual(ids);
      expect([server?.ends, server?.closes.length, recorder.closes.length]).toEqual([1, 1, 1]);
    }),
  );

  test(
    'messages of every size, split and joined as the network likes, arrive whole',
    within(make, async (pair) => {
      await pair.start();
      const { stream } = pair.open();
      const source = patterned(3 * mebibyte);
      const sizes = [0, 1, 90, 16_384, 5, 100_000, 4_095, 4_096, 65_536, 2, mebibyte, 3 * mebibyte, 7];
      sizes.forEach((size, index) => {
        stream.send(produceRequest(index, source.subarray(0, size)));
      });
      stream.end();
      await pair.accepted(1);
      const server = pair.recorders[0];
      await server?.received(sizes.length);
      server?.messages.forEach((message, index) => {
        const records = message.partitions[0]?.records ?? new Uint8Array(0);
        expect(records.length).toBe(sizes[index]);
        expect(Buffer.compare(records, source.subarray(0, sizes[index]))).toBe(0);
      });
    }),
  );
}

function endingCases(make: () => Promise<TransportWorld>): void {
  test(
    'a server that fails a stream is heard after the messages it sent before',
    within(make, async (pair) => {
      pair.onStream = (accepted, recorder) => {
        recorder.onEach = () => {
          accepted.send(produceResponse(1));
          pair.world.server.timers.after(20, () => accepted.fail(new RpcError('aborted', 'enough')));
        };
      };
      await pair.start();
      const { stream, recorder } = pair.open();
      stream.send(produceRequest(1));
      expect(await recorder.closed()).toMatchObject({ code: 'aborted', message: 'enough' });
      expect(recorder.messages).toHaveLength(1);
      expect(await pair.recorders[0]?.closed()).toMatchObject({ code: 'aborted' });
    }),
  );

  test(
    'a server may refuse a stream in its handler, and end it there',
    within(make, async (pair) => {
      pair.onStream = (accepted) => accepted.fail(new RpcError('permission-denied', 'no'));
      await pair.start();
      expect(await pair.open().recorder.closed()).toMatchObject({ code: 'permission-denied' });
      pair.onStream = (accepted) => accepted.end();
      expect(await pair.open().recorder.closed()).toBeUndefined();
      expect(await pair.recorders[1]?.closed()).toBeUndefined();
    }),
  );

  test(
    'a client that fails a stream cancels it for the server; both hear of it once, later than the call',
    within(make, async (pair) => {
      await pair.start();
      const { stream, recorder } = pair.open();
      stream.send(produceRequest(1));
      await pair.accepted(1);
      await pair.recorders[0]?.received(1);
      stream.fail();
      stream.fail(new RpcError('aborted', 'again'));
      expect(recorder.closes).toEqual([]);
      expect(await recorder.closed()).toMatchObject({ code: 'cancelled' });
      expect(await pair.recorders[0]?.closed()).toMatchObject({ code: 'cancelled' });
      expect([recorder.closes.length, pair.recorders[0]?.closes.length]).toEqual([1, 1]);
    }),
  );

  test(
    'nothing can be sent after the end or after the close',
    within(make, async (pair) => {
      pair.onStream = (accepted, recorder) => {
        void recorder.until(() => recorder.ends > 0).then(() => accepted.end());
      };
      await pair.start();
      const { stream, recorder } = pair.open();
      stream.end();
      expect(stream.send(produceRequest(1))).toBe(false);
      await recorder.closed();
      expect(stream.send(produceRequest(2))).toBe(false);
      stream.end();
      stream.fail();
      await pair.recorders[0]?.closed();
      expect(pair.recorders[0]?.messages).toEqual([]);
      expect(recorder.closes).toEqual([undefined]);
    }),
  );

  test(
    'a handler that throws ends its stream with "internal"; an RpcError with its own code',
    within(make, async (pair) => {
      pair.onStream = (_accepted, recorder) => {
        recorder.onEach = (message) => {
          throw message.correlationId === 1 ? new Error('a bug') : new RpcError('out-of-range', 'too far');
        };
      };
      await pair.start();
      const first = pair.open();
      first.stream.send(produceRequest(1));
      expect(await first.recorder.closed()).toMatchObject({ code: 'internal' });
      expect(pair.errors).toMatchObject([{ message: 'a bug' }]);
      const second = pair.open();
      second.stream.send(produceRequest(2));
      expect(await second.recorder.closed()).toMatchObject({ code: 'out-of-range' });
    }),
  );
}

function sizeCases(make: () => Promise<TransportWorld>): void {
  test(
    'a message above the receiver’s limit ends its stream with "resource-exhausted"; others go on',
    within(make, async (pair) => {
      await pair.start({ messageBytesMax: 65_536 }, { messageBytesMax: 10 * mebibyte });
      const other = pair.open();
      const { stream, recorder } = pair.open();
      stream.send(produceRequest(1, patterned(4 * mebibyte)));
      expect(await recorder.closed()).toMatchObject({ code: 'resource-exhausted' });
      expect(await pair.recorders[1]?.closed()).toMatchObject({ code: 'resource-exhausted' });
      expect(pair.recorders[1]?.messages).toEqual([]);
      other.stream.send(produceRequest(2, patterned(60_000)));
      await pair.recorders[0]?.received(1);
    }),
  );

  test(
    'a message above the sender’s own limit fails the stream before it leaves',
    within(make, async (pair) => {
      await pair.start({}, { messageBytesMax: 65_536 });
      const { stream, recorder } = pair.open();
      expect(stream.send(produceRequest(1, patterned(65_536)))).toBe(false);
      expect(await recorder.closed()).toMatchObject({ code: 'resource-exhausted' });
    }),
  );
}

function backpressureCases(make: () => Promise<TransportWorld>): void {
  test(
    'a paused reader holds back its sender, not its neighbour; after resume everything arrives',
    within(make, async (pair) => {
      pair.onStream = (accepted) => {
        if (pair.streams.length === 1) accepted.pause();
      };
      await pair.start();
      const { stream, recorder } = pair.open();
      const records = patterned(mebibyte);
      let sent = 0;
      while (stream.send(produceRequest(sent, records))) {
        sent += 1;
        // Give what was sent a turn to leave: only the receiver's window may stop it.
        await pair.pass(1);
        expect(sent).toBeLessThan(100);
      }
      sent += 1;
      expect(stream.pendingBytes).toBeGreaterThanOrEqual(pendingBytesHighWater);
      expect(pair.recorders[0]?.messages).toEqual([]);
      const neighbour = pair.open();
      neighbour.stream.send(produceRequest(1, records));
      await pair.accepted(2);
      await pair.recorders[1]?.received(1);
      expect(recorder.drains).toBe(0);
      pair.streams[0]?.resume();
      await pair.recorders[0]?.received(sent);
      await recorder.until(() => recorder.drains === 1);
      expect(stream.pendingBytes).toBeLessThanOrEqual(pendingBytesHighWater / 2);
      expect(pair.recorders[0]?.messages.map((message) => message.correlationId)).toEqual(
        Array.from({ length: sent }, (_, index) => index),
      );
    }),
  );

  test(
    'pause within onMessage stops delivery after that message, and the end waits, too',
    within(make, async (pair) => {
      pair.onStream = (accepted, recorder) => {
        recorder.onEach = () => accepted.pause();
      };
      await pair.start();
      const { stream } = pair.open();
      for (let id = 1; id <= 3; id += 1) stream.send(produceRequest(id));
      stream.end();
      await pair.accepted(1);
      const server = pair.recorders[0];
      for (let count = 1; count <= 3; count += 1) {
        await server?.received(count);
        await pair.pass(10);
        expect([server?.messages.length, server?.ends]).toEqual([count, 0]);
        pair.streams[0]?.resume();
      }
      await server?.until(() => server.ends === 1);
    }),
  );

  test(
    'a stream that breaks while paused is heard at once',
    within(make, async (pair) => {
      await pair.start();
      const { stream, recorder } = pair.open();
      stream.send(produceRequest(1));
      stream.pause();
      await pair.accepted(1);
      pair.streams[0]?.send(produceResponse(1));
      pair.streams[0]?.pause();
      void pair.channel.close();
      expect(await recorder.closed()).toMatchObject({ code: 'unavailable' });
      expect(await pair.recorders[0]?.closed()).toMatchObject({ code: 'unavailable' });
    }),
  );
}
