/** What the clients of one run did and saw. Times are of the machine's monotonic clock, milliseconds. */
export interface History {
  readonly acks: 'all' | '1';
  /** The producers are: a retry must not write twice (C4). */
  readonly isIdempotent: boolean;
  readonly partitions: number;
  readonly sends: readonly Send[];
  /** In the order in which each reader got them. */
  readonly polls: readonly Read[];
  /** Answers to the question where a partition ends. */
  readonly ends: readonly ListedEnd[];
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

export interface ListedEnd {
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
  | { readonly kind: 'start'; readonly acks: 'all' | '1'; readonly isIdempotent: boolean; readonly partitions: number }
  | ({ readonly kind: 'send' } & Send)
  | ({ readonly kind: 'poll' } & Read)
  | ({ readonly kind: 'end' } & ListedEnd)
  | ({ readonly kind: 'final' } & Read);

export function parseHistory(text: string): History {
  const sends: Send[] = [];
  const polls: Read[] = [];
  const ends: ListedEnd[] = [];
  const final: Read[] = [];
  let acks: 'all' | '1' = 'all';
  let partitions = 0;
  let isIdempotent = false;
  for (const text_ of text.split('\n')) {
    if (text_ === '') continue;
    const line = JSON.parse(text_) as HistoryLine;
    if (line.kind === 'start') ({ acks, isIdempotent, partitions } = line);
    else if (line.kind === 'send') sends.push(line);
    else if (line.kind === 'poll') polls.push(line);
    else if (line.kind === 'end') ends.push(line);
    else final.push(line);
  }
  return { acks, isIdempotent, partitions, sends, polls, ends, final };
}
