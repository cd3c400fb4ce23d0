import type { RpcStream, StreamMethod } from '@naru/rpc';
import { DisconnectError, type KafkaError } from '../errors.ts';
import { errorFromRpc } from '../errors-from-wire.ts';
import type { BrokerLink } from './broker-link.ts';

export interface BrokerStreamEvents<Response> {
  onAnswer(answer: Response): void;
  /** It may be sent to (again). */
  onWritable(): void;
  /** It is gone, and whatever was sent on it may have arrived; or the connection never came about. */
  onBroken(error: KafkaError): void;
}

/** One method's stream to a broker. Opens when it is needed, and again after a break. */
export class BrokerStream<Request, Response> {
  readonly #brokerId: number;
  readonly #link: BrokerLink;
  readonly #method: StreamMethod<Request, Response>;
  readonly #events: BrokerStreamEvents<Response>;
  #stream: RpcStream<Request, Response> | undefined;
  #isOpening = false;
  #isBlocked = false;

  constructor(
    { brokerId, link }: { readonly brokerId: number; readonly link: BrokerLink },
    method: StreamMethod<Request, Response>,
    events: BrokerStreamEvents<Response>,
  ) {
    this.#brokerId = brokerId;
    this.#link = link;
    this.#method = method;
    this.#events = events;
  }

  get isOpen(): boolean {
    return this.#stream !== undefined;
  }

  /** Open, and the connection takes what is sent. */
  get isWritable(): boolean {
    return this.#stream !== undefined && !this.#isBlocked;
  }

  /** Begins to connect unless it is connected or at it; `onWritable` or `onBroken` tells how it went. */
  ensureOpen(): void {
    if (this.#stream !== undefined || this.#isOpening) return;
    this.#isOpening = true;
    this.#link.connect().then(
      (channel) => {
        this.#isOpening = false;
        const stream = channel.open(this.#method);
        this.#stream = stream;
        stream.handle({
          onMessage: (answer) => this.#events.onAnswer(answer),
          onDrain: () => {
            this.#isBlocked = false;
            this.#events.onWritable();
          },
          onEnd: () => stream.end(),
          onClose: (error) => {
            if (this.#stream === stream) this.#onBroken(error);
          },
        });
        if (this.#stream === stream) this.#events.onWritable();
      },
      (error) => {
        this.#isOpening = false;
        this.#onBroken(error);
      },
    );
  }

  /** Taken also when it is not writable; goes nowhere when it is not open. */
  send(request: Request): void {
    if (this.#stream?.send(request) === false) this.#isBlocked = true;
  }

  /** Nothing more is sent; what was sent is still answered. */
  end(): void {
    this.#stream?.end();
  }

  /** Drops the connection: a request was not answered in time, and what was sent after it must not overtake it. */
  reset(): void {
    this.#link.reset();
    this.#stream?.fail();
  }

  #onBroken(cause: unknown): void {
    this.#stream = undefined;
    this.#isBlocked = false;
    const context = { broker: this.#brokerId };
    const isEnd = cause === undefined;
    this.#events.onBroken(
      isEnd ? new DisconnectError('the broker ended the stream', context) : errorFromRpc(cause, context),
    );
  }
}
