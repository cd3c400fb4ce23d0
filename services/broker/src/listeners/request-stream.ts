import { RpcError, type RpcStream, type StreamEvents } from '@naru/rpc';
import type { RequestBudget } from './request-budget.ts';
import { StreamBrake } from './stream-brake.ts';

/** How requests of one kind are served. */
export interface StreamService<Request, Response> {
  readonly cost: (request: Request) => number;
  /** Calls `done` once, with undefined when there is nothing to send. */
  readonly serve: (request: Request, done: (response: Response | undefined) => void) => void;
}

/** Requests of one stream that are not answered yet; a client with more has lost count. */
const outstandingMax = 100_000;

/**
 * A stream of requests that are answered in any order, by correlation id. Holds the client back while the broker has too much to do, or while the client
 * does not read its answers.
 */
export class RequestStream<Request, Response> implements StreamEvents<Request> {
  readonly #stream: RpcStream<Response, Request>;
  readonly #service: StreamService<Request, Response>;
  readonly #budget: RequestBudget;
  readonly #brake: StreamBrake;
  #outstanding = 0;
  #isEnded = false;
  #isClosed = false;

  constructor(stream: RpcStream<Response, Request>, service: StreamService<Request, Response>, budget: RequestBudget) {
    this.#stream = stream;
    this.#service = service;
    this.#budget = budget;
    this.#brake = new StreamBrake(stream);
  }

  onMessage(request: Request): void {
    if (this.#isClosed) return;
    if (this.#outstanding >= outstandingMax) {
      this.#stream.fail(new RpcError('resource-exhausted', `more than ${outstandingMax} requests without an answer`));
      return;
    }
    const cost = this.#service.cost(request);
    this.#outstanding++;
    this.#budget.take(cost, this.#brake);
    this.#service.serve(request, (response) => this.#answered(cost, response));
  }

  onDrain(): void {
    this.#brake.drained();
  }

  onEnd(): void {
    this.#isEnded = true;
    this.#endWhenAnswered();
  }

  onClose(): void {
    this.#isClosed = true;
    this.#brake.close();
    this.#budget.forget(this.#brake);
  }

  #answered(cost: number, response: Response | undefined): void {
    this.#outstanding--;
    if (response !== undefined && !this.#isClosed && !this.#stream.send(response)) this.#brake.congested();
    this.#budget.give(cost);
    this.#endWhenAnswered();
  }

  #endWhenAnswered(): void {
    if (this.#isEnded && this.#outstanding === 0 && !this.#isClosed) this.#stream.end();
  }
}
