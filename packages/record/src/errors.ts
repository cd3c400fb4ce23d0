export type RecordErrorCode =
  /** The bytes are no record, batch or compressed block of the stated kind. */
  | 'corrupt'
  /** Decompressing would give more bytes than the caller allows. */
  | 'too-large'
  /** This version of Node does not have the codec. */
  | 'codec-unavailable'
  /** A value that the format cannot carry. */
  | 'not-encodable';

/** An operating failure of encoding or decoding. Nothing here is worth a retry with the same bytes. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
  readonly code: RecordErrorCode;

  constructor(code: RecordErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
