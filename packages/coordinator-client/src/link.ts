import {
  coordinatorMethods,
  type Rpc,
  type RpcChannel,
  RpcError,
  type RpcStream,
  type coordinator as wire,
} from '@naru/rpc';
import type { Address, Timers } from '@naru/runtime';
import { request } from './wire.ts';

type Message = NonNullable<wire.SessionResponse['message']>;

/** What became of an attempt to reach the leader. `failed`: the node did not answer. */
export type LinkOutcome =
  | { readonly kind: 'connected'; readonly link: Link; readonly connected: wire.Connected }
  | { readonly kind: 'refused'; readonly refused: wire.Refused }
  | { readonly kind: 'failed'; readonly error: Error };

export interface LinkEvents {
  onMessage(message: Message): void;
  /** Once, unless `close` was called. */
  onBroken(error: Error): void;
}

/** One attached session stream. It does not come back: the session makes another. */
export class Link {
  readonly #channel: RpcChannel;
  readonly #stream: RpcStream<wire.SessionRequest, wire.SessionResponse>;
  #events: LinkEvents | undefined;

  constructor(channel: RpcChannel, stream: RpcStream<wire.SessionRequest, wire.SessionResponse>) {
    this.#channel = channel;
    this.#stream = stream;
  }

  /** Sets who is told; in the turn in which the link was got. */
  handle(events: LinkEvents): void {
    this.#events = events;
  }

  send(message: NonNullable<wire.SessionRequest['message']>): void {
    this.#stream.send(request(message));
  }

  deliver(message: wire.SessionResponse['message']): void {
    if (message !== undefined) this.#events?.onMessage(message);
  }

  broken(error: Error): void {
    const events = this.#events;
    this.#events = undefined;
    void this.#channel.close();
    events?.onBroken(error);
  }

  async close(): Promise<void> {
    this.#events = undefined;
    this.#stream.fail();
    await this.#channel.close();
  }
}

/** Connects, opens a stream and says `connect`; waits for the answer for `timeoutMs` at most. */
export async function openLink(
  rpc: Rpc,
  timers: Timers,
  address: Address,
  connect: wire.Connect,
  timeoutMs: number,
): Promise<LinkOutcome> {
  let channel: RpcChannel;
  try {
    channel = await rpc.connect(address, { timeoutMs });
  } catch (error) {
    return { kind: 'failed', error: error as Error };
  }
  const outcome = await shakeHands(channel, timers, connect, timeoutMs);
  if (outcome.kind !== 'connected') void channel.close();
  return outcome;
}

function shakeHands(
  channel: RpcChannel,
  timers: Timers,
  connect: wire.Connect,
  timeoutMs: number,
): Promise<LinkOutcome> {
  return new Promise((resolve) => {
    const stream = channel.open(coordinatorMethods.session);
    const link = new Link(channel, stream);
    let settled = false;
    const settle = (outcome: LinkOutcome): void => {
      settled = true;
      timer.cancel();
      resolve(outcome);
    };
    const timer = timers.after(timeoutMs, () => {
      settle({ kind: 'failed', error: new RpcError('deadline-exceeded', `no answer to Connect in ${timeoutMs} ms`) });
      stream.fail();
    });
    stream.handle({
      onMessage: ({ message }) => {
        if (settled) link.deliver(message);
        else if (message?.$case === 'connected') settle({ kind: 'connected', link, connected: message.value });
        else if (message?.$case === 'refused') settle({ kind: 'refused', refused: message.value });
        else settle({ kind: 'failed', error: new RpcError('internal', 'the answer to Connect is none') });
      },
      onClose: (error) => {
        const reason = error ?? new RpcError('unavailable', 'the coordinator ended the stream');
        if (settled) link.broken(reason);
        else settle({ kind: 'failed', error: reason });
      },
    });
    stream.send(request({ $case: 'connect', value: connect }));
  });
}
