import { type History, recordKey } from '../workload/history.ts';

/** What a run is summed up in. */
export interface Figures {
  readonly acked: number;
  readonly unknown: number;
  readonly failed: number;
  /** Acknowledged and nowhere in the final read. */
  readonly lost: number;
  /** Records that stand at more than one offset. */
  readonly duplicated: number;
  /** Neighbours in the order of sending, of one producer and partition, that stand the other way round. */
  readonly reordered: number;
  readonly torn: number;
  /** Share of tenths of a second between the first and the last send in which something was acknowledged. */
  readonly availability: number;
  /** Longest time in which a partition acknowledged nothing, between the begin of the fault and its end. */
  readonly longestGapMs: number;
}

const bucketMs = 100;

export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

/** `fault`: when the gap is measured. Pure. */
export function figuresOf(history: History, fault: Window): Figures {
  const acked = history.sends.filter((send) => send.outcome === 'acked');
  const places = new Map<string, number[]>();
  for (const read of history.final) {
    const key = recordKey(read);
    places.set(key, [...(places.get(key) ?? []), read.offset]);
  }
  return {
    acked: acked.length,
    unknown: history.sends.filter((send) => send.outcome === 'unknown').length,
    failed: history.sends.filter((send) => send.outcome === 'failed').length,
    lost: acked.filter((send) => !places.has(recordKey(send))).length,
    duplicated: [...places.values()].filter((offsets) => offsets.length > 1).length,
    reordered: reordered(history, places),
    torn: [...history.polls, ...history.final].filter((read) => read.producer < 0).length,
    availability: availability(history),
    longestGapMs: longestGapMs(history, fault),
  };
}

function reordered(history: History, places: ReadonlyMap<string, readonly number[]>): number {
  let count = 0;
  const acked = history.sends.filter((send) => send.outcome === 'acked');
  for (const stream of Map.groupBy(acked, (send) => `${send.producer}/${send.partition}`).values()) {
    let before = -1;
    for (const send of stream.toSorted((a, b) => a.sequence - b.sequence)) {
      const first = places.get(recordKey(send))?.[0];
      if (first === undefined) continue;
      if (first < before) count++;
      before = first;
    }
  }
  return count;
}

function availability({ sends }: History): number {
  if (sends.length === 0) return 0;
  const from = sends.reduce((least, send) => Math.min(least, send.invokedMs), Number.POSITIVE_INFINITY);
  const to = sends.reduce((most, send) => Math.max(most, send.invokedMs), 0);
  const buckets = Math.max(1, Math.floor((to - from) / bucketMs));
  const acked = new Set<number>();
  for (const send of sends) {
    const bucket = Math.floor((send.endedMs - from) / bucketMs);
    if (send.outcome === 'acked' && bucket < buckets) acked.add(bucket);
  }
  return acked.size / buckets;
}

function longestGapMs(history: History, { fromMs, toMs }: Window): number {
  let longest = 0;
  const byPartition = Map.groupBy(
    history.sends.filter((send) => send.outcome === 'acked'),
    (send) => send.partition,
  );
  for (let partition = 0; partition < history.partitions; partition++) {
    let last = fromMs;
    const ends = (byPartition.get(partition) ?? []).map((send) => send.endedMs).sort((a, b) => a - b);
    for (const end of ends) {
      if (end < fromMs || end > toMs) continue;
      longest = Math.max(longest, end - last);
      last = end;
    }
    longest = Math.max(longest, toMs - last);
  }
  return longest;
}
