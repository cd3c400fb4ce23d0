/** gRPC's status codes by name; `statusNumber` gives the number on the wire (grpc/grpc: doc/statuscodes.md). */
export const statusNumber = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  'invalid-argument': 3,
  'deadline-exceeded': 4,
  'not-found': 5,
  'already-exists': 6,
  'permission-denied': 7,
  'resource-exhausted': 8,
  'failed-precondition': 9,
  aborted: 10,
  'out-of-range': 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  'data-loss': 15,
  unauthenticated: 16,
} as const;

export type StatusCode = keyof typeof statusNumber;

/** How a call or stream ended when it did not end well. `unavailable` means: the connection is gone, the outcome unknown. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: StatusCode;

  constructor(code: StatusCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
