/**
 * Reliable, ordered byte connections, as TCP gives them. Above it, `@naru/rpc` speaks gRPC on real connections and a framing
 * of its own on simulated ones; Kafka's wire protocol runs on the bytes themselves.
 */
export interface Network {
  /** `node`: sockets of this machine. `simulated`: a seeded network inside the process. */
  readonly kind: 'node' | 'simulated';
  /** Under which others may know this machine. */
  readonly hostName: string;
  /** Fails with `NetworkError` `address-in-use` or `not-permitted`. Port 0 takes a free one, an empty host every address of the machine. */
  listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener>;
  /** Fails with `NetworkError` `refused`, `unreachable` or `timeout` (after `timeoutMs`, default 10 s). */
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

export const connectTimeoutMsDefault = 10_000;

/**
 * Bytes that may wait at one end, beyond what the system's own buffers hold, before `write` says stop. Large enough that
 * a sender which fills it once per turn of the event loop keeps a loopback connection busy.
 */
export const connectionHighWaterMarkBytes = 262_144;

/**
 * One end of a connection. Events come after `handle` was called and never inside that call; what arrived before waits.
 * After `onClose` nothing comes.
 */
export interface Connection {
  readonly remote: Address;
  /** May be called again: events then go to the new handler (a port that two protocols share sniffs, then hands over). */
  handle(handler: ConnectionHandler): void;
  /**
   * Sends the chunks in order without copying them; the caller must not change them afterwards. False when more than
   * the high-water mark is waiting: go on after `onDrain`.
   */
  write(chunks: readonly Uint8Array[]): boolean;
  /** Bytes accepted by `write` that have not left yet. */
  readonly pendingBytes: number;
  /** Stops `onData`; the other side is held back once the buffers between are full. */
  pause(): void;
  resume(): void;
  /** Sends what is waiting, then closes. When the other side ends first, this end flushes and closes by itself. */
  end(): void;
  /** Closes at once; what is waiting may be lost, the other side sees a reset. Nothing happens when it is closed already. */
  destroy(): void;
}

export interface ConnectionHandler {
  onData(bytes: Uint8Array): void;
  onDrain?(): void;
  /** Called exactly once. `error` is undefined after an orderly end by either side, `closed` after an own `destroy`. */
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
