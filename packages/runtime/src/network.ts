/**
 * Reliable, ordered byte connections, as TCP gives them. Above it, `@naru/rpc` speaks gRPC on real connections and a framing
 * of its own on simulated ones; Kafka's wire protocol runs on the bytes themselves.
 */
export interface Network {
  /** `node`: sockets of this machine. `simulated`: a seeded network inside the process. */
  readonly kind: 'node' | 'simulated';
  /** Fails with `NetworkError` `address-in-use` or `not-permitted`. Port 0 takes a free one. */
  listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener>;
  /** Fails with `NetworkError` `refused`, `unreachable` or `timeout`. */
  connect(address: Address, options?: { readonly timeoutMs?: number }): Promise<Connection>;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Listener {
  /** With the port that was really taken. */
  readonly address: Address;
  /** Stops accepting; connections that are open stay open. */
  close(): Promise<void>;
}

/**
 * One end of a connection. Events come after `handle` was called; what arrived before waits. After `onClose` nothing comes.
 */
export interface Connection {
  readonly remote: Address;
  handle(handler: ConnectionHandler): void;
  /**
   * Sends the chunks in order without copying them; the caller must not change them afterwards. False when more than
   * the high-water mark is waiting: go on after `onDrain`.
   */
  write(chunks: readonly Uint8Array[]): boolean;
  /** Bytes accepted by `write` that have not left yet. */
  readonly pendingBytes: number;
  /** Sends what is waiting, then closes. */
  end(): void;
  /** Closes at once; what is waiting is lost, the other side sees a reset. */
  destroy(): void;
}

export interface ConnectionHandler {
  onData(bytes: Uint8Array): void;
  onDrain?(): void;
  /** Called exactly once. `error` is undefined after an orderly end by either side. */
  onClose(error: NetworkError | undefined): void;
}

export type NetworkErrorCode =
  | 'address-in-use'
  | 'not-permitted'
  | 'refused'
  | 'unreachable'
  | 'reset'
  | 'timeout'
  | 'closed';

export class NetworkError extends Error {
  override readonly name = 'NetworkError';
  readonly code: NetworkErrorCode;

  constructor(code: NetworkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
