/** How a message becomes bytes. `encode` may return several chunks, so that record bytes pass through without a copy. */
export interface Codec<Message> {
  encode(message: Message): readonly Uint8Array[];
  /** May keep views into `bytes`. Throws on anything malformed; the call then ends with `invalid-argument`. */
  decode(bytes: Uint8Array): Message;
}

/** One procedure. `path` is gRPC's: `/package.Service/Method`. */
export interface Method<Request, Response, Kind extends 'unary' | 'stream' = 'unary' | 'stream'> {
  readonly kind: Kind;
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

export type UnaryMethod<Request, Response> = Method<Request, Response, 'unary'>;
/** Both directions stream. */
export type StreamMethod<Request, Response> = Method<Request, Response, 'stream'>;
