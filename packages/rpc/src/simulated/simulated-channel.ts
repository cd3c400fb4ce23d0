import { type Address, formatAddress, type Network, type Timers } from '@naru/runtime';
import type { Method, StreamMethod, UnaryMethod } from '../method.ts';
import type { RpcChannel, RpcLimits, RpcStream } from '../rpc.ts';
import { RpcError } from '../status.ts';
import { failedStream } from '../stream/failed-stream.ts';
import { describe } from '../stream/message-stream.ts';
import { type CallOptions, callOver } from '../stream/unary-call.ts';
import { type Frame, frameKinds, preface } from './frames.ts';
import { SimulatedConnection } from './simulated-connection.ts';
import { SimulatedStream } from './simulated-stream.ts';

export const noDeadline = 0xffff_ffff;

/** The client's side of one connection. */
export class SimulatedChannel implements RpcChannel {
  readonly remote: Address;
  readonly #timers: Timers;
  readonly #connection: SimulatedConnection;
  readonly #closeCallbacks: (() => void)[] = [];
  #nextStream = 1;
  #closing = false;

  constructor(remote: Address, connection: SimulatedConnection, timers: Timers) {
    this.remote = remote;
    this.#connection = connection;
    this.#timers = timers;
  }

  get closed(): boolean {
    return this.#closing || this.#connection.closed;
  }

  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Response> {
    return callOver(this.#open(method, options.timeoutMs), request, options, this.#timers);
  }

  open<Request, Response>(method: StreamMethod<Request, Response>): RpcStream<Request, Response> {
    return this.#open(method, undefined);
  }

  onClose(callback: () => void): void {
    if (this.#connection.closed) queueMicrotask(callback);
    else this.#closeCallbacks.push(callback);
  }

  close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#connection.close(new RpcError('unavailable', 'the connection was closed on this side'));
    }
    return new Promise((resolve) => this.onClose(resolve));
  }

  connectionClosed(): void {
    for (const callback of this.#closeCallbacks.splice(0)) callback();
  }

  #open<Request, Response>(
    method: Method<Request, Response>,
    timeoutMs: number | undefined,
  ): RpcStream<Request, Response> {
    if (this.closed) return failedStream(new RpcError('unavailable', `${formatAddress(this.remote)}: closed`));
    const connection = this.#connection;
    if (connection.streams.size >= connection.limits.concurrentStreamsMax) {
      return failedStream(new RpcError('resource-exhausted', `${connection.streams.size} streams are open`));
    }
    const id = this.#nextStream++;
    const deadline = Buffer.allocUnsafe(4);
    deadline.writeUInt32BE(timeoutMs === undefined ? noDeadline : Math.min(Math.ceil(timeoutMs), noDeadline - 1));
    connection.sendFrame(frameKinds.open, id, [deadline, Buffer.from(method.path)]);
    const codecs = { out: method.request, in: method.response };
    const stream = new SimulatedStream<Request, Response>(id, codecs, connection, (error) => {
      throw error;
    });
    connection.streams.set(id, stream);
    return stream;
  }
}

/** Resolves once the server has greeted. Fails with `unavailable`, naming the address. */
export async function connectSimulated(
  network: Network,
  timers: Timers,
  address: Address,
  limits: RpcLimits,
  timeoutMs: number,
): Promise<RpcChannel> {
  const failure = (why: string, cause?: unknown): RpcError =>
    new RpcError('unavailable', `cannot connect to ${formatAddress(address)}: ${why}`, { cause });
  const connection = await network.connect(address, { timeoutMs }).catch((cause: unknown) => {
    throw failure(describe(cause), cause);
  });
  return new Promise((resolve, reject) => {
    let channel: SimulatedChannel | undefined;
    const timer = timers.after(timeoutMs, () => {
      reject(failure(`no answer within ${timeoutMs} ms`));
      link.destroy();
    });
    const link = new SimulatedConnection('client', connection, new Uint8Array(0), limits, timers, {
      onFrame: (frame: Frame) => {
        if (frame.kind !== frameKinds.hello || channel !== undefined) return;
        timer.cancel();
        channel = new SimulatedChannel(address, link, timers);
        resolve(channel);
      },
      onClose: (error) => {
        timer.cancel();
        if (channel === undefined) reject(failure(error?.message ?? 'the connection closed', error));
        else channel.connectionClosed();
      },
    });
    link.start([]);
    link.sendRaw(preface);
  });
}
