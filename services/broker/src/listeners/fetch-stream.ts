import { type broker, RpcError, type RpcStream, type StreamEvents } from '@naru/rpc';
import type { FetchHandler } from '../requests/fetch.ts';
import type { FetchSession } from '../requests/fetch-session.ts';
import type { RequestBudget } from './request-budget.ts';
import { StreamBrake } from './stream-brake.ts';

/** What a stream holds with a fetch that waits, and with each partition that stands; what it reads is a view of the log's memory. */
const wantBytes = 512;
const standingBytes = 256;

/** A client's fetch stream: the session that lives as long as it does, and what that costs. */
export class FetchStream implements StreamEvents<broker.FetchRequest> {
  readonly #stream: RpcStream<broker.FetchResponse, broker.FetchRequest>;
  readonly #budget: RequestBudget;
  readonly #brake: StreamBrake;
  readonly #session: FetchSession;
  #takenBytes = 0;
  #isClosed = false;

  constructor(
    stream: RpcStream<broker.FetchResponse, broker.FetchRequest>,
    handler: FetchHandler,
    budget: RequestBudget,
  ) {
    this.#stream = stream;
    this.#budget = budget;
    this.#brake = new StreamBrake(stream);
    this.#session = handler.open((partitions) => {
      if (!stream.send({ partitions })) this.#brake.congested();
      this.#account();
    });
  }

  onMessage(request: broker.FetchRequest): void {
    if (this.#isClosed) return;
    if (!this.#session.handle(request)) {
      this.#stream.fail(new RpcError('resource-exhausted', 'a fetch is waiting already on this stream'));
      this.#close();
    } else this.#account();
  }

  onDrain(): void {
    this.#brake.drained();
  }

  onEnd(): void {
    this.#close();
    this.#stream.end();
  }

  onClose(): void {
    this.#close();
  }

  #account(): void {
    const { isWanted, standingCount } = this.#session;
    const bytes = (isWanted ? wantBytes : 0) + standingCount * standingBytes;
    const more = bytes - this.#takenBytes;
    this.#takenBytes = bytes;
    if (more > 0) this.#budget.take(more, this.#brake);
    else if (more < 0) this.#budget.give(-more);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#session.close();
    this.#brake.close();
    this.#budget.forget(this.#brake);
    this.#account();
  }
}
