import type { coordinator as wire } from '@naru/rpc';
import { CoordinatorError } from './session.ts';

/** Requests that wait for an answer or for a link. */
export const pendingRequestsMax = 16_384;
export const pendingBytesMax = 67_108_864;

export type OperationBody = NonNullable<wire.Operation['operation']>;

interface Pending {
  readonly kind: 'write' | 'read';
  readonly body: OperationBody;
  readonly bytes: number;
  readonly resolve: (result: wire.Result) => void;
  readonly reject: (error: Error) => void;
  sent: boolean;
}

/** What was asked and not answered, in order, over all links. */
export class PendingRequests {
  readonly #pending = new Map<number, Pending>();
  #nextXid = 1;
  #bytes = 0;

  /** The request and, when a link is there, the number under which to send it. Rejects when a limit is reached. */
  add(
    kind: 'write' | 'read',
    body: OperationBody,
    bytes: number,
    send: ((xid: number) => void) | undefined,
  ): Promise<wire.Result> {
    if (this.#pending.size >= pendingRequestsMax || this.#bytes + bytes > pendingBytesMax) {
      const message = `${this.#pending.size} requests with ${this.#bytes} bytes wait already (pendingRequestsMax, pendingBytesMax)`;
      return Promise.reject(new CoordinatorError('limit-exceeded', message));
    }
    return new Promise((resolve, reject) => {
      const xid = this.#nextXid;
      this.#nextXid += 1;
      this.#bytes += bytes;
      this.#pending.set(xid, { kind, body, bytes, resolve, reject, sent: send !== undefined });
      send?.(xid);
    });
  }

  settle(result: wire.Result): void {
    const pending = this.#pending.get(result.xid);
    if (pending === undefined) return;
    this.#remove(result.xid, pending);
    pending.resolve(result);
  }

  /** A new link: everything goes out that did not before, in the order in which it was asked for. */
  sendAll(send: (xid: number, body: OperationBody) => void): void {
    for (const [xid, pending] of this.#pending) {
      pending.sent = true;
      send(xid, pending.body);
    }
  }

  /** The link broke: the outcome of a write that was sent is unknown, everything else is sent again. */
  onBroken(cause: Error): void {
    for (const [xid, pending] of this.#pending) {
      if (pending.kind === 'write' && pending.sent) {
        this.#remove(xid, pending);
        const message = 'the connection broke before the answer: the write may have been done';
        pending.reject(new CoordinatorError('connection-loss', message, -1, { cause }));
      }
      pending.sent = false;
    }
  }

  failAll(error: CoordinatorError): void {
    for (const [xid, pending] of this.#pending) {
      this.#remove(xid, pending);
      pending.reject(error);
    }
  }

  #remove(xid: number, pending: Pending): void {
    this.#pending.delete(xid);
    this.#bytes -= pending.bytes;
  }
}
