import type { Timers } from '@naru/runtime';
import type { RpcStream } from '../rpc.ts';
import { RpcError } from '../status.ts';

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A unary call is a stream with one message each way: the request and its end leave together. */
export function callOver<Request, Response>(
  stream: RpcStream<Request, Response>,
  request: Request,
  options: CallOptions,
  timers: Timers,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    let response: { readonly message: Response } | undefined;
    const onAbort = (): void => stream.fail(new RpcError('cancelled', 'cancelled by the caller'));
    const { timeoutMs, signal } = options;
    const timer =
      timeoutMs === undefined
        ? undefined
        : timers.after(timeoutMs, () => {
            stream.fail(new RpcError('deadline-exceeded', `no answer within ${timeoutMs} ms`));
          });
    stream.handle({
      onMessage: (message) => {
        if (response === undefined) response = { message };
        else stream.fail(new RpcError('internal', 'two answers to a unary call'));
      },
      onClose: (error) => {
        timer?.cancel();
        signal?.removeEventListener('abort', onAbort);
        if (error !== undefined) reject(error);
        else if (response === undefined) reject(new RpcError('internal', 'no answer to a unary call'));
        else resolve(response.message);
      },
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) {
      onAbort();
      return;
    }
    try {
      stream.send(request);
      stream.end();
    } catch (error) {
      // The request cannot be encoded: the caller's mistake, which must not leave the stream open.
      stream.fail();
      reject(error);
    }
  });
}
