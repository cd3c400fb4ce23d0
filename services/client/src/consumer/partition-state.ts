import type { ResetPolicy } from '../config.ts';
import type { KafkaError } from '../errors.ts';
import type { FetchedData } from './fetched-data.ts';

/** Where a partition stands to be fetched. */
export interface FetchSession<K, V> {
  forget(state: PartitionState<K, V>): void;
}

/**
 * What the consumer knows of one assigned partition. `position` moves as records are handed to the application, `fetchOffset` as answers
 * come in: the answers between the two wait in `buffered`.
 */
export class PartitionState<K, V> {
  readonly topic: string;
  readonly partition: number;
  /** Offset of the next record for the application. Only meaningful while `isPlaced`. */
  position = -1;
  /** Leader epoch of the record before the position; -1 unknown. */
  positionEpoch = -1;
  fetchOffset = -1;
  /** Leader epoch of the record before the fetch offset; -1 unknown. */
  fetchEpoch = -1;
  /** Set: the position must be looked up first. */
  reset: ResetPolicy | undefined;
  /** The group is asked where to begin; nothing is fetched before it has answered. */
  isAwaitingCommitted = false;
  /** Where the application stands: everything before was handed out, and asked for more. What an automatic commit commits. */
  processed = -1;
  processedEpoch = -1;
  /** The last offset that the group is known to have for it; -1 none. */
  committed = -1;
  isPaused = false;
  /** It is being fetched: a broker has been told, or will be in this turn. */
  session: FetchSession<K, V> | undefined;
  /** Its position is being looked up. */
  isInLookup = false;
  /** Grows with every seek; what a lookup of an older generation finds is dropped. */
  generation = 0;
  readonly buffered: FetchedData<K, V>[] = [];
  highWatermark = -1;
  lastStableOffset = -1;
  logStartOffset = -1;
  retryAtMs = 0;
  failedAttempts = 0;
  /** `fetchOffset` was out of range already once, and the metadata has been refreshed since. */
  wasOutOfRange = false;
  /** Thrown by the next poll. */
  failure: KafkaError | undefined;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  /** It has a position. */
  get isPlaced(): boolean {
    return this.reset === undefined && !this.isAwaitingCommitted;
  }

  get bufferedBytes(): number {
    let bytes = 0;
    for (const data of this.buffered) bytes += data.remainingBytes;
    return bytes;
  }

  /** Records between the position (or `from`, the first record that is not done with) and the end of what may be read; undefined: not known. */
  lag(from: bigint | undefined, isolationLevel: number): bigint | undefined {
    const end = isolationLevel === 1 ? this.lastStableOffset : this.highWatermark;
    if (end < 0 || !this.isPlaced) return undefined;
    return BigInt(Math.max(0, end - Number(from ?? this.position)));
  }

  /** Records were handed out or passed over, up to `offset`. */
  advanceTo(offset: number, leaderEpoch: number): void {
    if (offset <= this.position) return;
    this.position = offset;
    this.positionEpoch = leaderEpoch;
  }

  /** Goes on from `offset`; what is buffered or under way no longer counts. */
  seek(offset: number, leaderEpoch = -1): void {
    this.#forget();
    this.isAwaitingCommitted = false;
    this.reset = undefined;
    this.position = offset;
    this.positionEpoch = leaderEpoch;
    this.fetchOffset = offset;
    this.fetchEpoch = leaderEpoch;
  }

  /** An answer came in. */
  fetched(data: FetchedData<K, V>, nextOffset: number, leaderEpoch: number): void {
    this.buffered.push(data);
    this.fetchOffset = nextOffset;
    this.fetchEpoch = leaderEpoch;
  }

  /** Not of this consumer any more: whatever is under way for it no longer counts. */
  leave(): void {
    this.#forget();
  }

  /** Goes on from where the policy says, once that was looked up. */
  needReset(policy: ResetPolicy): void {
    this.#forget();
    this.isAwaitingCommitted = false;
    this.reset = policy;
    this.positionEpoch = -1;
  }

  #forget(): void {
    this.generation++;
    this.session?.forget(this);
    this.isInLookup = false;
    this.buffered.length = 0;
    this.failure = undefined;
    this.retryAtMs = 0;
    this.failedAttempts = 0;
    this.wasOutOfRange = false;
  }
}
