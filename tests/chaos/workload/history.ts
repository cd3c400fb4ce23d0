/** What the clients of one run did and saw. Times are of the machine's monotonic clock, milliseconds. */
export interface History {
  readonly acks: 'all' | '1';
  /** The producers are: a retry must not write twice (C4). */
  readonly isIdempotent: boolean;
  readonly partitions: number;
  /** A reader may see again what it has seen; it passes over nothing all the same. */
  readonly readersGoBack: boolean;
  readonly sends: readonly Send[];
  /** In the order in which each reader got them. */
  readonly polls: readonly Read[];
  /** Answers to the question where a partition ends. */
  readonly ends: readonly ListedOffset[];
  /** Answers to the question what the group has committed, where there is a group. */
  readonly committed: readonly ListedOffset[];
  /** Everything that is there after healing, from the first offset to the end, in order for each partition. */
  readonly final: readonly Read[];
}

/**
 * `acked`: positively acknowledged at `offset`. `failed`: definitely not in the log (row 55). `unknown`: may be there, or no answer came
 * before the end.
 */
export type SendOutcome = 'acked' | 'failed' | 'unknown';

export interface Send {
  readonly producer: number;
  readonly sequence: number;
  readonly partition: number;
  readonly invokedMs: number;
  readonly endedMs: number;
  readonly outcome: SendOutcome;
  /** -1 unless acked. */
  readonly offset: number;
  readonly error: string | undefined;
}

export interface Read {
  readonly reader: number;
  readonly partition: number;
  readonly offset: number;
  /** -1 and -1: torn, the bytes of no send. */
  readonly producer: number;
  readonly sequence: number;
  readonly atMs: number;
}

/** An offset that somebody was told: where a partition ends, or what a group has committed there. */
export interface ListedOffset {
  readonly partition: number;
  readonly offset: number;
  readonly invokedMs: number;
  readonly endedMs: number;
}

/** One name for a record, whichever way it was met. */
export function recordKey(record: { readonly producer: number; readonly sequence: number }): string {
  return `${record.producer}:${record.sequence}`;
}

/** One line of the history's file. */
export type HistoryLine =
  | ({ readonly kind: 'start' } & Pick<History, 'acks' | 'isIdempotent' | 'partitions' | 'readersGoBack'>)
  | ({ readonly kind: 'send' } & Send)
  | ({ readonly kind: 'poll' } & Read)
  | ({ readonly kind: 'end' } & ListedOffset)
  | ({ readonly kind: 'committed' } & ListedOffset)
  | ({ readonly kind: 'final' } & Read);

export function parseHistory(text: string): History {
  const sends: Send[] = [];
  const polls: Read[] = [];
  const ends: ListedOffset[] = [];
  const committed: ListedOffset[] = [];
  const final: Read[] = [];
  let acks: 'all' | '1' = 'all';
  let partitions = 0;
  let isIdempotent = false;
  let readersGoBack = false;
  for (const text_ of text.split('\n')) {
    if (text_ === '') continue;
    const line = JSON.parse(text_) as HistoryLine;
    if (line.kind === 'start') ({ acks, isIdempotent, partitions, readersGoBack } = line);
    else if (line.kind === 'send') sends.push(line);
    else if (line.kind === 'poll') polls.push(line);
    else if (line.kind === 'end') ends.push(line);
    else if (line.kind === 'committed') committed.push(line);
    else final.push(line);
  }
  return { acks, isIdempotent, partitions, readersGoBack, sends, polls, ends, committed, final };
}
