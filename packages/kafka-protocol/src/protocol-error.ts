export type ProtocolErrorCode =
  /** The bytes end before the message does. */
  | 'truncated'
  /** Bytes that no message can have: a negative count, null where it is not allowed, something behind the end. */
  | 'malformed'
  /** More than a message may have; see `limits`. */
  | 'too-large'
  /** An API or version that is not declared. */
  | 'unsupported';

/** Bytes that are not what they should be. The message is for the log: it never holds bytes of the peer. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: ProtocolErrorCode;

  constructor(code: ProtocolErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
