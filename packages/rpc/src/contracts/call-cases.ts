import { describe, expect, test } from 'vitest';
import { brokerMethods } from '../definitions.ts';
import type { UnaryMethod } from '../method.ts';
import { RpcError } from '../status.ts';
import { metadata, metadataRequest, type TransportWorld } from './transport-world.ts';
import { within } from './within-world.ts';

const never = <Result>(): Promise<Result> => new Promise(() => {});

export function callCases(make: () => Promise<TransportWorld>): void {
  describe('unary calls', () => {
    test(
      'a request is answered; many at once are each answered with their own',
      within(make, async (pair) => {
        const channel = await pair.start();
        const names = Array.from({ length: 50 }, (_, index) => `topic-${index}`);
        const answers = await Promise.all(
          names.map((name) => channel.call(brokerMethods.metadata, metadataRequest(name))),
        );
        expect(answers.map((answer) => answer.clusterId)).toEqual(names);
      }),
    );

    test(
      'a thrown RpcError arrives with its code and its message, whatever characters it has',
      within(make, async (pair) => {
        pair.onCall = () => {
          throw new RpcError('failed-precondition', '100 % 나루\n"quoted"');
        };
        const channel = await pair.start();
        await expect(channel.call(brokerMethods.metadata, metadataRequest())).rejects.toMatchObject({
          code: 'failed-precondition',
          message: '100 % 나루\n"quoted"',
        });
        expect(pair.errors).toEqual([]);
      }),
    );

    test(
      'any other thrown error is "internal" for the caller and goes, whole, to the log',
      within(make, async (pair) => {
        pair.onCall = () => Promise.reject(new Error('a secret detail'));
        const channel = await pair.start();
        const failure = await channel.call(brokerMethods.metadata, metadataRequest()).catch((error: unknown) => error);
        expect(failure).toMatchObject({ code: 'internal' });
        expect(String(failure)).not.toContain('secret');
        expect(pair.errors).toMatchObject([{ message: 'a secret detail' }]);
      }),
    );

    test(
      'an unknown method is "unimplemented"',
      within(make, async (pair) => {
        const channel = await pair.start();
        await expect(
          channel.call(brokerMethods.listOffsets, { isolationLevel: 0, partitions: [] }),
        ).rejects.toMatchObject({ code: 'unimplemented' });
      }),
    );

    test(
      'a deadline fails the call and aborts the handler',
      within(make, async (pair) => {
        const aborted = new Promise<unknown>((resolve) => {
          pair.onCall = (_request, { signal }) => {
            signal.addEventListener('abort', () => resolve(signal.reason));
            return never();
          };
        });
        const channel = await pair.start();
        await expect(channel.call(brokerMethods.metadata, metadataRequest(), { timeoutMs: 50 })).rejects.toMatchObject({
          code: 'deadline-exceeded',
        });
        expect(await aborted).toBeInstanceOf(RpcError);
      }),
    );

    test(
      'cancelling fails the call and aborts the handler; an answer that comes later is of no consequence',
      within(make, async (pair) => {
        const controller = new AbortController();
        let answer: () => void = () => {};
        const aborted = new Promise<unknown>((resolve) => {
          pair.onCall = (_request, { signal }) => {
            signal.addEventListener('abort', () => resolve(signal.reason));
            controller.abort();
            return new Promise((resolveCall) => {
              answer = () => resolveCall(metadata('late'));
            });
          };
        });
        const channel = await pair.start();
        const call = channel.call(brokerMethods.metadata, metadataRequest(), { signal: controller.signal });
        await expect(call).rejects.toMatchObject({ code: 'cancelled' });
        expect(await aborted).toMatchObject({ code: 'cancelled' });
        answer();
        pair.onCall = () => metadata('next');
        expect(await channel.call(brokerMethods.metadata, metadataRequest())).toMatchObject({ clusterId: 'next' });
      }),
    );

    test(
      'a call whose signal is aborted already fails without being sent',
      within(make, async (pair) => {
        const channel = await pair.start();
        await expect(
          channel.call(brokerMethods.metadata, metadataRequest(), { signal: AbortSignal.abort() }),
        ).rejects.toMatchObject({ code: 'cancelled' });
      }),
    );

    test(
      'a malformed request is "invalid-argument", and the connection goes on',
      within(make, async (pair) => {
        const channel = await pair.start();
        const garbled: UnaryMethod<Uint8Array, unknown> = {
          ...brokerMethods.metadata,
          request: { encode: (bytes) => [bytes], decode: (bytes) => bytes },
        };
        for (const bytes of [[0x0a, 0x7f, 0x61], [0xff], [0x0c, 0x01], [0x0b, 0x0b]]) {
          await expect(channel.call(garbled, Uint8Array.from(bytes))).rejects.toMatchObject({
            code: 'invalid-argument',
          });
        }
        expect(await channel.call(brokerMethods.metadata, metadataRequest('well'))).toMatchObject({
          clusterId: 'well',
        });
      }),
    );

    test(
      'a request that cannot be encoded fails the call alone',
      within(make, async (pair) => {
        const channel = await pair.start();
        const broken: UnaryMethod<null, unknown> = {
          ...brokerMethods.metadata,
          request: {
            encode: () => {
              throw new RangeError('not a safe integer');
            },
            decode: () => null,
          },
        };
        await expect(channel.call(broken, null)).rejects.toThrow('not a safe integer');
        expect(await channel.call(brokerMethods.metadata, metadataRequest('well'))).toMatchObject({
          clusterId: 'well',
        });
      }),
    );
  });
}
