import type { KafkaError } from '../errors.ts';
import type { ConsumerRecord } from './consumer-record.ts';
import type { PartitionState } from './partition-state.ts';

/** Hands out what was fetched ahead. Partitions take turns, so that a busy one does not starve the others. */
export class BufferedRecords<K, V> {
  readonly #partitions: () => Iterable<PartitionState<K, V>>;
  #turn = 0;
  /** The last `take` ended early, because too much had to be passed over: there is more. */
  isInterrupted = false;

  constructor(partitions: () => Iterable<PartitionState<K, V>>) {
    this.#partitions = partitions;
  }

  /** Up to `max` records of up to `partitionsMax` partitions. Throws the failure of a partition when nothing could be read. */
  take(max: number, partitionsMax: number): ConsumerRecord<K, V>[] {
    const records: ConsumerRecord<K, V>[] = [];
    const states = [...this.#partitions()];
    let failure: KafkaError | undefined;
    let readPartitions = 0;
    this.isInterrupted = false;
    for (let i = 0; i < states.length && records.length < max && readPartitions < partitionsMax; i++) {
      if (this.isInterrupted) break;
      const state = states[(this.#turn + i) % states.length] as PartitionState<K, V>;
      const before = records.length;
      if (!state.isPaused) this.isInterrupted = read(state, records, max - records.length);
      if (records.length > before) readPartitions++;
      if (state.failure !== undefined && failure === undefined && records.length === 0) {
        failure = state.failure;
        // A reset policy of none and what the broker refused for good stay until the application seeks; all else is tried again.
        if (state.reset === undefined) state.failure = undefined;
      }
    }
    this.#turn = (this.#turn + 1) % Math.max(1, states.length);
    if (records.length === 0 && failure !== undefined) throw failure;
    return records;
  }
}

/** True when it ended early. */
function read<K, V>(state: PartitionState<K, V>, into: ConsumerRecord<K, V>[], max: number): boolean {
  const end = into.length + max;
  while (into.length < end && state.failure === undefined) {
    const data = state.buffered[0];
    if (data === undefined) return false;
    const before = into.length;
    const outcome = data.read(into, end - into.length);
    if (outcome === 'more') return into.length < end;
    if (outcome === 'done') {
      state.buffered.shift();
      if (into.length === before) return state.buffered.length > 0;
      continue;
    }
    state.seek(state.position, state.positionEpoch);
    state.failure = outcome;
  }
  return false;
}
