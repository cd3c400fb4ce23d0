import { type History, type Read, recordKey, type Send } from '../workload/history.ts';
import { type Violation, Violations } from './violation.ts';

/**
 * Judges what the clients of one run did and saw (group C of the invariants). Pure. With acks=1 nothing is promised of an acknowledged record,
 * so that C1, C5 and C6, which speak of acknowledgements, are not asked.
 *
 * C9 is judged through C8: what was read too early is what can vanish. C12 has no subject: followers do not serve clients.
 */
export function checkHistory(history: History): Violation[] {
  const violations = new Violations();
  const finals = indexFinal(history, violations);
  checkOneValuePerOffset(history, violations);
  checkWritten(history, violations);
  checkPolls(history, violations);
  checkPollsStay(history, finals, violations);
  checkEnds(history, violations);
  if (history.isIdempotent) checkOnce(history, violations);
  if (history.acks === 'all') {
    checkAcked(history, finals, violations);
    checkSendOrder(history, finals, violations);
    checkRealTime(history, violations);
  }
  return violations.list;
}

export interface FinalState {
  /** Which record stands at an offset, by partition. */
  readonly at: ReadonlyMap<number, ReadonlyMap<number, string>>;
  /** First offset of each record. */
  readonly first: ReadonlyMap<string, number>;
}

/** The final read itself: dense from 0 on (C7), nothing torn. */
function indexFinal(history: History, violations: Violations): FinalState {
  const at = new Map<number, Map<number, string>>();
  const first = new Map<string, number>();
  const next = new Map<number, number>();
  for (const read of history.final) {
    const expected = next.get(read.partition) ?? 0;
    if (read.offset !== expected) {
      violations.add('C7', `the final read of partition ${read.partition} goes from ${expected} to ${read.offset}`);
    }
    next.set(read.partition, read.offset + 1);
    const offsets = at.get(read.partition) ?? new Map<number, string>();
    at.set(read.partition, offsets.set(read.offset, recordKey(read)));
    const key = recordKey(read);
    if (!first.has(key)) first.set(key, read.offset);
  }
  return { at, first };
}

/** C1: an acknowledged record is readable at exactly its offset. */
function checkAcked(history: History, finals: FinalState, violations: Violations): void {
  for (const send of history.sends) {
    if (send.outcome !== 'acked') continue;
    const found = finals.at.get(send.partition)?.get(send.offset);
    if (found === recordKey(send)) continue;
    violations.add(
      'C1',
      `${describe(send)} was acknowledged at ${place(send)}, where ${found === undefined ? 'nothing is' : `${found} stands`}`,
    );
  }
}

/** C4: a record of an idempotent producer stands at one offset at most, however often it was sent. */
function checkOnce(history: History, violations: Violations): void {
  const known = new Map<string, Read>();
  for (const read of history.final) {
    if (read.producer < 0) continue;
    const before = known.get(recordKey(read));
    if (before === undefined) known.set(recordKey(read), read);
    else violations.add('C4', `record ${recordKey(read)} stands at ${place(before)} and at ${place(read)}`);
  }
}

/** C2: whoever speaks of an offset means the same record. */
function checkOneValuePerOffset(history: History, violations: Violations): void {
  const known = new Map<string, string>();
  const see = (where: string, what: string, how: string): void => {
    const before = known.get(where);
    if (before === undefined) known.set(where, what);
    else if (before !== what) violations.add('C2', `${where} is ${before} and, ${how}, ${what}`);
  };
  if (history.acks === 'all') {
    for (const send of history.sends) {
      if (send.outcome === 'acked') see(place(send), recordKey(send), 'as acknowledged');
    }
  }
  for (const read of history.polls) see(place(read), recordKey(read), `as reader ${read.reader} saw it`);
  for (const read of history.final) see(place(read), recordKey(read), 'at the end');
}

/** C3, C13: what is read was sent, to this partition, whole, and not definitely refused. */
function checkWritten(history: History, violations: Violations): void {
  const sends = new Map(history.sends.map((send) => [recordKey(send), send]));
  for (const read of [...history.polls, ...history.final]) {
    const send = sends.get(recordKey(read));
    if (read.producer < 0) violations.add('C3', `torn bytes at ${place(read)}`);
    else if (send === undefined) violations.add('C3', `${recordKey(read)} at ${place(read)} was never sent`);
    else if (send.partition !== read.partition) violations.add('C3', `${describe(send)} was read at ${place(read)}`);
    else if (send.outcome === 'failed') {
      violations.add('C13', `${describe(send)} failed for certain (${send.error}) and was read at ${place(read)}`);
    }
  }
}

/** C7: without a seek or a rebalance, polls of a partition go from each offset to the next. */
function checkPolls(history: History, violations: Violations): void {
  const next = new Map<string, number>();
  for (const read of history.polls) {
    const key = `${read.reader}/${read.partition}`;
    const expected = next.get(key) ?? 0;
    if (read.offset > expected || (read.offset < expected && !history.readersGoBack)) {
      const how = read.offset < expected ? 'went back' : 'skipped';
      violations.add(
        'C7',
        `reader ${read.reader} ${how} in partition ${read.partition}: ${read.offset} after ${expected - 1}`,
      );
    }
    next.set(key, Math.max(expected, read.offset + 1));
  }
}

/** C8, C9: what was once read stays. */
function checkPollsStay(history: History, finals: FinalState, violations: Violations): void {
  for (const read of history.polls) {
    const found = finals.at.get(read.partition)?.get(read.offset);
    if (found === undefined) violations.add('C8', `${recordKey(read)}, once read at ${place(read)}, has vanished`);
  }
}

/** C5: records of one producer and partition stand in the order of their sends; each at the offset of its ack, and where it came first. */
function checkSendOrder(history: History, finals: FinalState, violations: Violations): void {
  const streams = Map.groupBy(
    history.sends.filter((send) => send.outcome === 'acked'),
    (send) => `${send.producer}/${send.partition}`,
  );
  for (const stream of streams.values()) {
    const sends = stream.toSorted((a, b) => a.sequence - b.sequence);
    for (const [i, send] of sends.entries()) {
      const before = sends[i - 1];
      if (before === undefined) continue;
      if (before.offset >= send.offset) {
        violations.add(
          'C5',
          `${describe(before)} at ${before.offset} was sent before ${describe(send)} at ${send.offset}`,
        );
      }
      const firsts = [finals.first.get(recordKey(before)), finals.first.get(recordKey(send))] as const;
      if (firsts[0] !== undefined && firsts[1] !== undefined && firsts[0] > firsts[1]) {
        violations.add('C5', `${describe(before)} came first at ${firsts[0]}, after ${describe(send)} at ${firsts[1]}`);
      }
    }
  }
}

/** C6: acknowledged before the other was sent means a smaller offset. */
function checkRealTime(history: History, violations: Violations): void {
  const byPartition = Map.groupBy(
    history.sends.filter((send) => send.outcome === 'acked'),
    (send) => send.partition,
  );
  for (const sends of byPartition.values()) {
    const byEnd = sends.toSorted((a, b) => a.endedMs - b.endedMs);
    let ended = 0;
    let highest: Send | undefined;
    for (const send of sends.toSorted((a, b) => a.invokedMs - b.invokedMs)) {
      for (; (byEnd[ended]?.endedMs ?? Number.POSITIVE_INFINITY) < send.invokedMs; ended++) {
        const one = byEnd[ended] as Send;
        if (highest === undefined || one.offset > highest.offset) highest = one;
      }
      if (highest !== undefined && highest.offset >= send.offset) {
        violations.add(
          'C6',
          `${describe(highest)} was acknowledged at ${place(highest)} before ${describe(send)} was sent, which got ${send.offset}`,
        );
      }
    }
  }
}

/** C10: the end that is told does not go back in real time. */
function checkEnds(history: History, violations: Violations): void {
  for (const ends of Map.groupBy(history.ends, (end) => end.partition).values()) {
    const byEnd = ends.toSorted((a, b) => a.endedMs - b.endedMs);
    let ended = 0;
    let highest = -1;
    for (const end of ends.toSorted((a, b) => a.invokedMs - b.invokedMs)) {
      for (; (byEnd[ended]?.endedMs ?? Number.POSITIVE_INFINITY) < end.invokedMs; ended++) {
        highest = Math.max(highest, (byEnd[ended] as { offset: number }).offset);
      }
      if (end.offset < highest) {
        violations.add('C10', `partition ${end.partition} ended at ${highest} and later at ${end.offset}`);
      }
    }
  }
}

function place(one: Pick<Read, 'partition' | 'offset'>): string {
  return `${one.partition}@${one.offset}`;
}

function describe(send: Send): string {
  return `record ${recordKey(send)} of partition ${send.partition}`;
}
