import { RpcError, type RpcStream, type StreamEvents } from '@naru/rpc';
import type { RequestBudget, Source } from './request-budget.ts';

/** How requests of one kind are served. */
export interface StreamService<Request, Response> {
  readonly cost: (request: Request) => number;
  /**
   * Calls `done` once, with undefined when there is nothing to send; may return a function that gives the request up, after which `done` is not
   * called.
   */
  readonly serve: (request: Request, done: (response: Response | undefined) => void) => (() => void) | undefined;
}

/** Requests of one stream that are not answered yet; a client with more has lost count. */
const outstandingMax = 100_000;

/**
 * A stream of requests that are answered in any order, by correlation id. Holds the client back while the broker has too much to do, or while the client
 * does not read its answers.
 */
export class RequestStream<Request, Response> implements StreamEvents<Request>, Source {
  readonly #stream: RpcStream<Response, Request>;
  readonly #service: StreamService<Request, Response>;
  readonly #budget: RequestBudget;
  readonly #giveUp = new Set<() => void>();
  #outstanding = 0;
  #holds = 0;
  #isCongested = false;
  #isEnded = false;
  #isClosed = false;

  constructor(stream: RpcStream<Response, Request>, service: StreamService<Request, Response>, budget: RequestBudget) {
    this.#stream = stream;
    this.#service = service;
    this.#budget = budget;
  }

  onMessage(request: Request): void {
    if (this.#isClosed) return;
    if (this.#outstanding >= outstandingMax) {
      this.#stream.fail(new RpcError('resource-exhausted', `more than ${outstandingMax} requests without an answer`));
      return;
    }
    const cost = this.#service.cost(request);
    this.#outstanding++;
    this.#budget.take(cost, this);
    let giveUp: (() => void) | undefined;
    let isDone = false;
    giveUp = this.#service.serve(request, (response) => {
      isDone = true;
      if (giveUp !== undefined) this.#giveUp.delete(giveUp);
      this.#answered(cost, response);
    });
    if (giveUp === undefined || isDone) return;
    const abandon = giveUp;
    giveUp = () => {
      abandon();
      this.#answered(cost, undefined);
    };
    this.#giveUp.add(giveUp);
  }

  onDrain(): void {
    if (!this.#isCongested) return;
    this.#isCongested = false;
    this.resume();
  }

  onEnd(): void {
    this.#isEnded = true;
    this.#endWhenAnswered();
  }

  onClose(): void {
    this.#isClosed = true;
    for (const giveUp of [...this.#giveUp]) giveUp();
    this.#giveUp.clear();
    this.#budget.forget(this);
  }

  pause(): void {
    if (this.#holds++ === 0 && !this.#isClosed) this.#stream.pause();
  }

  resume(): void {
    if (--this.#holds === 0 && !this.#isClosed) this.#stream.resume();
  }

  #answered(cost: number, response: Response | undefined): void {
    this.#outstanding--;
    if (response !== undefined && !this.#isClosed && !this.#stream.send(response)) this.#congested();
    this.#budget.give(cost);
    this.#endWhenAnswered();
  }

  #congested(): void {
    if (this.#isCongested || this.#isClosed) return;
    this.#isCongested = true;
    this.pause();
  }

  #endWhenAnswered(): void {
    if (this.#isEnded && this.#outstanding === 0 && !this.#isClosed) this.#stream.end();
  }
}
