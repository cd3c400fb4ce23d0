import { channels } from '../diagnostics/channels.ts';
import { RecordDeserializationError } from '../errors.ts';
import type { ClientLogger } from '../logger.ts';
import type { Deserializer } from '../serialization/serde.ts';
import type { ConsumerRecord, Deserializers } from './consumer-record.ts';

/**
 * What becomes of a record whose key or value cannot be deserialized:
 * - `fail`: `poll` or the iteration fails with `RecordDeserializationError`; the position stays at the record, `seek` goes past it;
 * - `skip`: it is passed over and counted;
 * - `raw`: it is handed out with key and value as bytes, and the error beside them.
 */
export type DeserializationPolicy = 'fail' | 'skip' | 'raw';

/** Hears of each such record, and says what becomes of it. Must not throw. */
export type DeserializationErrorHandler = (error: RecordDeserializationError) => DeserializationPolicy;

/** Counted since the consumer was made. */
export interface DeserializationCounters {
  /** Records that were passed over because they could not be deserialized. */
  skippedRecords: number;
  /** Records that were handed out as bytes because they could not be deserialized. */
  rawRecords: number;
}

/** The first ones one by one, then now and then: a topic full of them must not fill the log as well. */
const skipsLogged = 10;
const skipsLoggedEvery = 1_000;

export interface RecordBytes {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** Applies an application's deserializers, and its policy where they fail. */
export class PolicedDeserializers<K, V> implements Deserializers<K, V> {
  readonly #key: Deserializer<K> | undefined;
  readonly #value: Deserializer<V> | undefined;
  readonly #onError: DeserializationPolicy | DeserializationErrorHandler;
  readonly #logger: ClientLogger;
  readonly #name: { readonly clientId: string; readonly groupId: string };
  readonly counters: DeserializationCounters = { skippedRecords: 0, rawRecords: 0 };
  /** Of records that were handed out since `keepBytes`, as long as the application holds them. */
  #bytes: WeakMap<object, RecordBytes> | undefined;

  constructor(
    parts: { readonly key?: Deserializer<K> | undefined; readonly value?: Deserializer<V> | undefined },
    onError: DeserializationPolicy | DeserializationErrorHandler,
    { logger, ...name }: { readonly logger: ClientLogger; readonly clientId: string; readonly groupId: string },
  ) {
    this.#name = name;
    this.#key = parts.key;
    this.#value = parts.value;
    this.#onError = onError;
    this.#logger = logger;
  }

  /** From now on `bytesOf` knows what records were made of: to write one back as it was. */
  keepBytes(): void {
    this.#bytes ??= new WeakMap();
  }

  bytesOf(record: object): RecordBytes | undefined {
    return this.#bytes?.get(record);
  }

  apply(raw: ConsumerRecord): ConsumerRecord<K, V> | undefined {
    if (this.#key === undefined && this.#value === undefined) return raw as unknown as ConsumerRecord<K, V>;
    const { topic, headers } = raw;
    let part: 'key' | 'value' = 'key';
    try {
      const key =
        raw.key === null || this.#key === undefined
          ? raw.key
          : this.#key.deserialize(raw.key, { topic, part, headers });
      part = 'value';
      const value =
        raw.value === null || this.#value === undefined
          ? raw.value
          : this.#value.deserialize(raw.value, { topic, part, headers });
      this.#bytes?.set(raw, { key: raw.key, value: raw.value });
      // In place: one object less for each record.
      return Object.assign(raw as ConsumerRecord<never, never>, { key, value }) as ConsumerRecord<K, V>;
    } catch (error) {
      return this.#failed(raw, part, error);
    }
  }

  #failed(raw: ConsumerRecord, part: 'key' | 'value', cause: unknown): ConsumerRecord<K, V> | undefined {
    const { topic, partition, offset } = raw;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `the ${part} of the record at offset ${offset} of ${topic}-${partition} cannot be deserialized: ${reason}`;
    const error = new RecordDeserializationError(message, {
      topic,
      partition,
      offset,
      cause,
      origin: part,
      record: raw,
    });
    const policy = typeof this.#onError === 'function' ? this.#onError(error) : this.#onError;
    if (channels.undecodable.hasSubscribers) channels.undecodable.publish({ ...this.#name, error, policy });
    switch (policy) {
      case 'fail':
        throw error;
      case 'skip':
        this.counters.skippedRecords++;
        if (this.counters.skippedRecords <= skipsLogged || this.counters.skippedRecords % skipsLoggedEvery === 0)
          this.#logger.warn({ err: error, ...this.counters }, 'a record was skipped');
        return undefined;
      case 'raw':
        this.counters.rawRecords++;
        return { ...raw, error } as unknown as ConsumerRecord<K, V>;
    }
  }
}
