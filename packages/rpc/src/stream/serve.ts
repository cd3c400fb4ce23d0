import { type Address, AssertionError, type Timers } from '@naru/runtime';
import type { Binding } from '../binding.ts';
import type { CallContext, UnaryHandler } from '../rpc.ts';
import { RpcError } from '../status.ts';
import type { MessageStream } from './message-stream.ts';

export interface Incoming {
  readonly remote: Address;
  /** The caller's deadline, milliseconds from now. */
  readonly timeoutMs: number | undefined;
}

export interface ServeOptions {
  readonly timers: Timers;
  readonly onError: (error: unknown, path: string) => void;
}

/** The longest delay that a timer of 31 bits holds, 24 days. */
const timeoutMsMax = 2_147_483_647;

/** Hands a new stream to its handler. */
export function serveStream(
  binding: Binding,
  stream: MessageStream<unknown, unknown>,
  incoming: Incoming,
  options: ServeOptions,
): void {
  const { timeoutMs } = incoming;
  if (timeoutMs !== undefined) {
    const timer = options.timers.after(Math.min(timeoutMs, timeoutMsMax), () => {
      stream.fail(new RpcError('deadline-exceeded', `not done within ${timeoutMs} ms`));
    });
    stream.afterClose(() => timer.cancel());
  }
  if (binding.kind === 'unary') {
    serveUnary(binding, stream, incoming, options);
    return;
  }
  try {
    binding.handler(stream, { remote: incoming.remote });
  } catch (error) {
    failByHandler(stream, binding.path, error, options);
  }
}

/**
 * A handler threw. A broken invariant stops the process, as everywhere; an `RpcError` is the answer; the rest is told to the log
 * and, without its details, to the caller.
 */
export function failByHandler(
  stream: MessageStream<unknown, unknown>,
  path: string,
  error: unknown,
  options: ServeOptions,
): void {
  if (error instanceof AssertionError) throw error;
  if (error instanceof RpcError) {
    stream.fail(error);
    return;
  }
  options.onError(error, path);
  stream.fail(new RpcError('internal', 'the handler failed'));
}

/** The signal is made when a handler first asks for it: most never do. */
class UnaryContext implements CallContext {
  readonly remote: Address;
  #controller: AbortController | undefined;
  #reason: RpcError | undefined;

  constructor(remote: Address) {
    this.remote = remote;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  abort(reason: RpcError): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

function serveUnary(
  binding: Binding & { readonly kind: 'unary' },
  stream: MessageStream<unknown, unknown>,
  incoming: Incoming,
  options: ServeOptions,
): void {
  const context = new UnaryContext(incoming.remote);
  let request: { readonly message: unknown } | undefined;
  stream.handle({
    onMessage: (message) => {
      if (request === undefined) request = { message };
      else stream.fail(new RpcError('invalid-argument', 'two requests in a unary call'));
    },
    onEnd: () => {
      if (request === undefined) stream.fail(new RpcError('invalid-argument', 'a unary call without a request'));
      else void answer(binding.handler, request.message, context, stream, binding.path, options);
    },
    onClose: (error) => {
      if (error !== undefined) context.abort(error);
    },
  });
}

async function answer(
  handler: UnaryHandler<unknown, unknown>,
  request: unknown,
  context: CallContext,
  stream: MessageStream<unknown, unknown>,
  path: string,
  options: ServeOptions,
): Promise<void> {
  try {
    const response = await handler(request, context);
    stream.send(response);
    stream.end();
  } catch (error) {
    failByHandler(stream, path, error, options);
  }
}
