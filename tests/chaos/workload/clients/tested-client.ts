import type { SendOutcome } from '../history.ts';

export interface TestedClientOptions {
  readonly servers: string;
  readonly topic: string;
  readonly partitions: number;
  readonly acks: 'all' | '1';
  readonly idempotence: boolean;
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
}

/** What a client library has to do so that its users' view can be judged: whichever it is, the history is the same. */
export interface TestedClient {
  producer(): Promise<TestedProducer>;
  /** Reads every partition from its beginning, until `signal`. Never ends by itself: what fails is tried again. */
  read(reader: number, onRecord: OnRecord, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface TestedProducer {
  /** Records leave in the order of the calls. `done` is called once. */
  send(partition: number, value: string, done: OnSent): void;
  /** When nothing is open any more. */
  close(): Promise<void>;
}

/** `offset`: -1 unless acknowledged. */
export type OnSent = (outcome: SendOutcome, offset: number, error: string | undefined) => void;

export type OnRecord = (partition: number, offset: number, value: Uint8Array | null) => void;

export const deliveryTimeoutMs = 15_000;
