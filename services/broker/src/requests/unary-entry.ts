import type { UnaryMethod } from '@naru/rpc';

/** Who asks. */
export interface Caller {
  readonly host: string;
  /** On which the request came: its addresses are those that the caller can use. */
  readonly listener: string;
}

/** A request with one answer. */
export interface UnaryEntry {
  readonly method: UnaryMethod<unknown, unknown>;
  readonly handle: (request: unknown, caller: Caller) => unknown;
  /**
   * Bytes that it holds until it is answered, besides the message itself; counted against `queued.max.request.bytes` before it is begun.
   */
  readonly cost: number;
}

export function entry<Request, Response>(
  method: UnaryMethod<Request, Response>,
  handle: (request: Request, caller: Caller) => Promise<Response> | Response,
  cost: number,
): UnaryEntry {
  return { method, handle, cost } as unknown as UnaryEntry;
}
