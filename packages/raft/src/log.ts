import { assert } from '@naru/runtime';
import { decodeConfiguration } from './configuration-change.ts';
import type { Configuration, Entry, LogIndex, SnapshotMeta, Term } from './types.ts';

/** What a node found on its disk: `entries` are contiguous and may begin before the snapshot's end (the tail kept for slow followers). */
export interface StoredLog {
  readonly snapshot: SnapshotMeta | undefined;
  readonly entries: readonly Entry[];
  readonly commit: LogIndex;
}

interface ConfigurationAt {
  readonly index: LogIndex;
  readonly configuration: Configuration;
}

/**
 * The log since a little before the last snapshot, in memory; the shell's snapshots bound it.
 *
 * ```
 *   base | first ............ applied ... commit ........ last
 *                      snapshot                stable
 * ```
 *
 * Always `base ≤ applied ≤ commit ≤ last` and `stable ≤ last`. `stable` is the end of what this node's disk holds for sure;
 * it may lie before `commit`, because a majority without this node commits, too. The configuration in force is the latest
 * one in the log, committed or not (Raft §6), so it falls back by itself when its entry is cut.
 */
export class RaftLog {
  /** Entries base+1 … last. */
  #entries: Entry[] = [];
  #baseIndex: LogIndex = 0;
  #baseTerm: Term = 0;
  #snapshot: SnapshotMeta | undefined;
  #stable: LogIndex;
  #commit: LogIndex;
  #applied: LogIndex;
  /** The configuration in force at the snapshot and each one after it, in order. */
  #configurations: ConfigurationAt[];

  constructor(stored: StoredLog, bootstrap: Configuration) {
    const { snapshot, entries } = stored;
    this.#snapshot = snapshot;
    this.#configurations = [{ index: snapshot?.index ?? 0, configuration: snapshot?.configuration ?? bootstrap }];
    const first = entries[0];
    if (first === undefined || (snapshot && first.index > snapshot.index)) {
      this.#baseIndex = snapshot?.index ?? 0;
      this.#baseTerm = snapshot?.term ?? 0;
      this.#entries = [...entries];
    } else if (first.index === 1) {
      this.#entries = [...entries];
    } else {
      // The term before the kept tail is not stored; the tail's first entry becomes the base.
      this.#baseIndex = first.index;
      this.#baseTerm = first.term;
      this.#entries = entries.slice(1);
    }
    this.#checkContiguous();
    const start = snapshot?.index ?? 0;
    assert(this.lastIndex >= start, 'the log ends before its snapshot');
    if (snapshot) assert(this.termAt(snapshot.index) === snapshot.term, 'the log disagrees with its snapshot');
    for (const entry of this.#entries) if (entry.index > start) this.#noteConfiguration(entry);
    this.#stable = this.lastIndex;
    assert(stored.commit <= this.lastIndex, 'the disk lost entries that were known to be committed');
    this.#commit = Math.max(start, stored.commit);
    this.#applied = start;
  }

  get firstIndex(): LogIndex {
    return this.#baseIndex + 1;
  }
  get lastIndex(): LogIndex {
    return this.#baseIndex + this.#entries.length;
  }
  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? this.#baseTerm;
  }
  get stable(): LogIndex {
    return this.#stable;
  }
  get commit(): LogIndex {
    return this.#commit;
  }
  /** The end of what was handed out for applying. */
  get applied(): LogIndex {
    return this.#applied;
  }
  get snapshot(): SnapshotMeta | undefined {
    return this.#snapshot;
  }
  get configuration(): Configuration {
    return this.#latest().configuration;
  }
  get configurationIndex(): LogIndex {
    return this.#latest().index;
  }

  /** Undefined: compacted away, or not written yet. */
  termAt(index: LogIndex): Term | undefined {
    if (index === this.#baseIndex) return this.#baseTerm;
    return this.#entries[index - this.#baseIndex - 1]?.term;
  }

  matches(index: LogIndex, term: Term): boolean {
    return this.termAt(index) === term;
  }

  /** Raft §5.4.1: the later last term wins, then the longer log. */
  isUpToDate(lastIndex: LogIndex, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** Entries from `from` to `to` (both included) as far as `bytesMax` reaches, at least one. */
  slice(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] {
    assert(from >= this.firstIndex && to <= this.lastIndex, 'a slice lies within the log');
    const start = from - this.#baseIndex - 1;
    let end = start;
    let bytes = 0;
    while (end < to - this.#baseIndex) {
      bytes += (this.#entries[end] as Entry).data.length;
      if (bytes > bytesMax && end > start) break;
      end += 1;
    }
    return this.#entries.slice(start, end);
  }

  /** The leader's own appends (Leader Append-Only, figure 3). */
  append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, 'entries are appended without a gap');
    assert(entry.term >= this.lastTerm, 'terms never fall along the log');
    this.#entries.push(entry);
    this.#noteConfiguration(entry);
  }

  /**
   * Raft §5.3: cuts what conflicts, appends what is new, leaves what is there already: a delayed message with an older prefix
   * must not cut entries that came after it. Answers with the last index known to agree, or undefined without agreement.
   */
  accept(previousIndex: LogIndex, previousTerm: Term, entries: readonly Entry[]): LogIndex | undefined {
    if (!this.matches(previousIndex, previousTerm)) return undefined;
    const firstNew = entries.findIndex((entry) => !this.matches(entry.index, entry.term));
    if (firstNew >= 0) {
      const conflict = (entries[firstNew] as Entry).index;
      if (conflict <= this.lastIndex) this.#cutFrom(conflict);
      for (let at = firstNew; at < entries.length; at += 1) this.append(entries[at] as Entry);
    }
    return previousIndex + entries.length;
  }

  /**
   * The last index at or before `index` whose term is not above `term`: after it the two logs cannot agree. Both sides use it, so
   * that one exchange skips a whole term of conflicting entries. Term 0: compacted, unknown.
   */
  findConflictByTerm(index: LogIndex, term: Term): { index: LogIndex; term: Term } {
    for (let at = Math.min(index, this.lastIndex); at >= this.#baseIndex; at -= 1) {
      const found = this.termAt(at) as Term;
      if (found <= term) return { index: at, term: found };
    }
    return { index: Math.max(0, this.#baseIndex - 1), term: 0 };
  }

  commitTo(index: LogIndex): void {
    assert(
      index <= this.lastIndex,
      'only what is in the log can be committed: this node has lost entries it had acknowledged',
    );
    if (index > this.#commit) this.#commit = index;
  }

  /** Everything that is not on this node's disk yet. */
  unstable(): readonly Entry[] {
    return this.#entries.slice(this.#stable - this.#baseIndex);
  }

  /**
   * The entries up to this one were written. When it is no longer in the log (cut while the write was under way), nothing is known and they
   * are written again.
   */
  stableTo(index: LogIndex, term: Term): void {
    if (index > this.#stable && this.matches(index, term)) this.#stable = index;
  }

  hasCommitted(): boolean {
    return this.#applied < this.#commit;
  }

  /** Hands out committed entries, each once. */
  takeCommitted(max: number): readonly Entry[] {
    const to = Math.min(this.#commit, this.#applied + max);
    const entries = this.#entries.slice(this.#applied - this.#baseIndex, to - this.#baseIndex);
    this.#applied = to;
    return entries;
  }

  /** Describes a snapshot of the state after `index`. */
  snapshotAt(index: LogIndex): SnapshotMeta {
    assert(index <= this.#applied, 'a snapshot holds only what was applied');
    const term = this.termAt(index);
    assert(term !== undefined, 'a snapshot lies within the log');
    return { index, term, configuration: this.#configurationAt(index).configuration };
  }

  /** Where a tail that ends at `index` begins when it may have so many entries and bytes. */
  tailFrom(index: LogIndex, entriesMax: number, bytesMax: number): LogIndex {
    const lowest = Math.max(this.firstIndex, index - entriesMax + 1);
    let from = index + 1;
    let bytes = 0;
    while (from > lowest) {
      bytes += (this.#entries[from - this.#baseIndex - 2] as Entry).data.length;
      if (bytes > bytesMax) break;
      from -= 1;
    }
    return from;
  }

  /** A snapshot is durable: forgets the entries before `keepFrom`. An older one than the last changes nothing (row 38). */
  compact(snapshot: SnapshotMeta, keepFrom: LogIndex): void {
    if (snapshot.index <= (this.#snapshot?.index ?? 0)) return;
    assert(
      snapshot.index <= this.#applied && snapshot.index <= this.#stable,
      'a snapshot covers what is applied and durable',
    );
    this.#snapshot = snapshot;
    const base = Math.min(Math.max(keepFrom - 1, this.#baseIndex), snapshot.index);
    const baseTerm = this.termAt(base) as Term;
    this.#configurations = [
      this.#configurationAt(snapshot.index),
      ...this.#configurations.filter((at) => at.index > snapshot.index),
    ];
    this.#entries = this.#entries.slice(base - this.#baseIndex);
    this.#baseIndex = base;
    this.#baseTerm = baseTerm;
  }

  /** Replaces the whole log by a leader's snapshot, which reaches past it or contradicts it. */
  restore(snapshot: SnapshotMeta): void {
    assert(snapshot.index > this.#commit, 'a snapshot never takes back what is committed');
    this.#snapshot = snapshot;
    this.#entries = [];
    this.#baseIndex = snapshot.index;
    this.#baseTerm = snapshot.term;
    this.#stable = snapshot.index;
    this.#commit = snapshot.index;
    this.#applied = snapshot.index;
    this.#configurations = [{ index: snapshot.index, configuration: snapshot.configuration }];
  }

  #latest(): ConfigurationAt {
    return this.#configurations.at(-1) as ConfigurationAt;
  }

  #configurationAt(index: LogIndex): ConfigurationAt {
    const found = this.#configurations.findLast((at) => at.index <= index);
    assert(found !== undefined, 'a configuration is known since the snapshot');
    return found;
  }

  #noteConfiguration(entry: Entry): void {
    if (entry.kind !== 'configuration') return;
    this.#configurations.push({ index: entry.index, configuration: decodeConfiguration(entry.data) });
  }

  #cutFrom(index: LogIndex): void {
    assert(index > this.#commit, 'what is committed is never cut (Leader Completeness, figure 3)');
    this.#entries.length = index - this.#baseIndex - 1;
    this.#stable = Math.min(this.#stable, index - 1);
    while (this.#latest().index >= index) this.#configurations.pop();
  }

  #checkContiguous(): void {
    let previousTerm = this.#baseTerm;
    this.#entries.forEach((entry, position) => {
      assert(entry.index === this.#baseIndex + 1 + position, 'stored entries have no gap');
      assert(entry.term >= previousTerm, 'stored terms never fall');
      previousTerm = entry.term;
    });
  }
}
