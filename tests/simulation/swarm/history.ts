/** One record that a producer was asked to send, and what it was told. */
export interface Send {
  readonly producer: number;
  /** Counts the producer's sends. */
  readonly number: number;
  readonly topic: string;
  readonly partition: number;
  /** Its value, whoever wrote it down: no other send has the same. */
  readonly payload: Buffer;
  readonly invokedMs: number;
  /** `unknown` as long as it is under way, and for good after an indefinite error (row 55). */
  outcome: 'unknown' | 'acked' | 'refused';
  /** When it was told, and the offset: with `acked`. */
  toldMs: number;
  offset: number;
  error: string;
}

export interface Polled {
  readonly consumer: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly value: Uint8Array | null;
  readonly leaderEpoch: number;
}

/** Told of everything that clients are told, at the moment they are told. */
export interface HistoryListener {
  acked(send: Send): void;
  polled(record: Polled): void;
  /** A member of a group got the partition: its next record may be anywhere. */
  assigned(consumer: string, topic: string, partition: number): void;
  /** The answer to a question for the latest offset that was asked at `invokedMs`. */
  latestOffset(client: string, topic: string, partition: number, offset: number, invokedMs: number): void;
}

function payloadOf(producer: number, number: number, topic: string, partition: number, bytes: number): Buffer {
  const head = `${producer}/${number}/${topic}/${partition}/`;
  const value = Buffer.allocUnsafe(Math.max(head.length, bytes)).fill(97 + (number % 26));
  value.write(head, 0, 'latin1');
  return value;
}

/** The digits from `at`, and where they end. */
function readNumber(bytes: Uint8Array, at: number): [number: number, end: number] {
  let [number, end] = [0, at];
  for (let digit = digitAt(bytes, end); digit >= 0 && digit <= 9; digit = digitAt(bytes, ++end)) {
    number = 10 * number + digit;
  }
  return [number, end];
}

const digitAt = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) - 48;

/** Every send by producer and number. */
export class History {
  readonly sends: Send[][] = [];
  readonly #listeners: HistoryListener[] = [];
  ackedCount = 0;
  polledCount = 0;

  listen(listener: HistoryListener): void {
    this.#listeners.push(listener);
  }

  begin(producer: number, topic: string, partition: number, valueBytes: number, nowMs: number): Send {
    const sends = this.sends[producer] ?? [];
    this.sends[producer] = sends;
    const send: Send = {
      producer,
      number: sends.length,
      topic,
      partition,
      payload: payloadOf(producer, sends.length, topic, partition, valueBytes),
      invokedMs: nowMs,
      outcome: 'unknown',
      toldMs: Number.POSITIVE_INFINITY,
      offset: -1,
      error: '',
    };
    sends.push(send);
    return send;
  }

  acked(send: Send, offset: number, nowMs: number): void {
    send.outcome = 'acked';
    send.offset = offset;
    send.toldMs = nowMs;
    this.ackedCount++;
    for (const listener of this.#listeners) listener.acked(send);
  }

  failed(send: Send, isDefinite: boolean, error: string, nowMs: number): void {
    if (isDefinite) send.outcome = 'refused';
    send.error = error;
    send.toldMs = nowMs;
  }

  polled(record: Polled): void {
    this.polledCount++;
    for (const listener of this.#listeners) listener.polled(record);
  }

  assigned(consumer: string, topic: string, partition: number): void {
    for (const listener of this.#listeners) listener.assigned(consumer, topic, partition);
  }

  latestOffset(client: string, topic: string, partition: number, offset: number, invokedMs: number): void {
    for (const listener of this.#listeners) listener.latestOffset(client, topic, partition, offset, invokedMs);
  }

  /** The send that wrote this value; undefined when nobody sent it, byte for byte. */
  senderOf(value: Uint8Array | null): Send | undefined {
    if (value === null) return undefined;
    const [producer, end] = readNumber(value, 0);
    const send = this.sends[producer]?.[readNumber(value, end + 1)[0]];
    return send?.payload.equals(value) ? send : undefined;
  }

  *all(): Iterable<Send> {
    for (const sends of this.sends) yield* sends ?? [];
  }
}
