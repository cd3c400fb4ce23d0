import type { Entry, EntryKind, HardState, LogIndex, SnapshotMeta } from '@naru/raft';
import { assert, type Store, type StoreOperation } from '@naru/runtime';
import { QuorumError } from './errors.ts';
import { deletionsPerBatch } from './limits.ts';
import { seal, unseal } from './value-checksum.ts';

const statePlace = 'state';
const logStart = 'log/';
/** The first key after every `log/…`. */
const logEnd = 'log0';

const kindNumbers: Record<EntryKind, number> = { command: 1, configuration: 2, noop: 3 };
const kinds: readonly (EntryKind | undefined)[] = [undefined, 'command', 'configuration', 'noop'];

interface StoredState extends HardState {
  /** Index of the last entry, written with it in one batch: an end that went missing is found out. */
  readonly last: LogIndex;
}

export interface RecoveredLog {
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
}

/**
 * Raft's log and vote in an ordered store.
 *
 * | key | value, after four bytes of checksum |
 * |---|---|
 * | `state` | JSON: term, vote, commit, last |
 * | `log/` + index in 16 digits | term (8 bytes, big endian), kind (1), data |
 *
 * One round is one synced batch: after a crash it is there as a whole or not at all, so the log never has a gap and
 * the state never speaks of entries that are missing. What contradicts that at open is corruption, and nothing is cut (rows 57 and 63).
 */
export class RaftStorage {
  readonly #store: Store;
  #first: LogIndex;
  #last: LogIndex;
  #hardState: HardState;

  private constructor(store: Store, first: LogIndex, last: LogIndex, hardState: HardState) {
    this.#store = store;
    this.#first = first;
    this.#last = last;
    this.#hardState = hardState;
  }

  /** Reads and checks everything. `snapshot` is the newest one that this node holds. */
  static async open(
    store: Store,
    snapshot: SnapshotMeta | undefined,
  ): Promise<{ storage: RaftStorage; recovered: RecoveredLog }> {
    const entries: Entry[] = [];
    for await (const [key, value] of store.entries({ from: logStart, to: logEnd }))
      entries.push(decodeEntry(key, value));
    const state = decodeState(await store.get(statePlace));
    checkStored(state, entries, snapshot);
    const hardState = { term: state.term, vote: state.vote, commit: state.commit };
    const first = entries[0]?.index ?? state.last + 1;
    const storage = new RaftStorage(store, first, state.last, hardState);
    if (snapshot === undefined || belongsTo(entries, state.last, snapshot))
      return { storage, recovered: { hardState, entries } };
    // A crash came between an installed snapshot and the removal of the log that it replaces.
    const afterInstall = { ...hardState, term: Math.max(hardState.term, snapshot.term), commit: snapshot.index };
    await storage.replace(snapshot, [], afterInstall);
    return { storage, recovered: { hardState: afterInstall, entries: [] } };
  }

  /** Makes one round durable: the entries take the place of everything from their first index on. */
  async write(entries: readonly Entry[], hardState: HardState): Promise<void> {
    const operations: StoreOperation[] = entries.map(putEntry);
    const firstNew = entries[0];
    const last = entries.at(-1)?.index ?? this.#last;
    if (firstNew) {
      assert(firstNew.index <= this.#last + 1, 'a round continues the stored log');
      // A shorter log replaced a longer one: what comes after it must not come back at the next start.
      for (let index = last + 1; index <= this.#last; index += 1) operations.push(deleteEntry(index));
    }
    operations.push(putState({ ...hardState, last }));
    await this.#store.batch(operations, { sync: true });
    this.#last = last;
    this.#hardState = hardState;
  }

  /** A leader's snapshot, durable already, takes the place of the whole log; `entries` follow it. */
  async replace(snapshot: SnapshotMeta, entries: readonly Entry[], hardState: HardState): Promise<void> {
    const operations: StoreOperation[] = [];
    for (let index = this.#first; index <= this.#last; index += 1) operations.push(deleteEntry(index));
    operations.push(...entries.map(putEntry));
    const last = entries.at(-1)?.index ?? snapshot.index;
    operations.push(putState({ ...hardState, last }));
    await this.#store.batch(operations, { sync: true });
    this.#first = snapshot.index + 1;
    this.#last = last;
    this.#hardState = hardState;
  }

  /** Removes entries that a durable snapshot covers. Not synced: entries that come back after a crash do no harm. */
  async removeBefore(keepFrom: LogIndex): Promise<void> {
    while (this.#first < keepFrom) {
      const to = Math.min(keepFrom, this.#first + deletionsPerBatch);
      const operations: StoreOperation[] = [];
      for (let index = this.#first; index < to; index += 1) operations.push(deleteEntry(index));
      this.#first = to;
      await this.#store.batch(operations, { sync: false });
    }
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  async close(): Promise<void> {
    await this.#store.close();
  }
}

function keyOf(index: LogIndex): string {
  return logStart + String(index).padStart(16, '0');
}

function deleteEntry(index: LogIndex): StoreOperation {
  return { kind: 'delete', key: keyOf(index) };
}

function putEntry(entry: Entry): StoreOperation {
  const head = Buffer.alloc(9);
  head.writeBigUInt64BE(BigInt(entry.term), 0);
  head.writeUInt8(kindNumbers[entry.kind], 8);
  return { kind: 'put', key: keyOf(entry.index), value: seal([head, entry.data]) };
}

function decodeEntry(key: string, value: Uint8Array): Entry {
  const content = unseal(value);
  const index = Number(key.slice(logStart.length));
  const kind = content && kinds[content[8] ?? 0];
  if (content === undefined || kind === undefined || !Number.isSafeInteger(index) || keyOf(index) !== key) {
    throw new QuorumError('corrupt', `the stored Raft entry ${key} is damaged`);
  }
  const term = Number(Buffer.from(content.buffer, content.byteOffset, 8).readBigUInt64BE(0));
  return { index, term, kind, data: content.subarray(9) };
}

function putState(state: StoredState): StoreOperation {
  return { kind: 'put', key: statePlace, value: seal([Buffer.from(JSON.stringify(state))]) };
}

function decodeState(value: Uint8Array | undefined): StoredState {
  if (value === undefined) return { term: 0, vote: 0, commit: 0, last: 0 };
  const content = unseal(value);
  if (content === undefined) throw new QuorumError('corrupt', 'the stored Raft term and vote are damaged');
  return JSON.parse(Buffer.from(content).toString()) as StoredState;
}

function checkStored(state: StoredState, entries: readonly Entry[], snapshot: SnapshotMeta | undefined): void {
  const fail = (message: string): never => {
    throw new QuorumError('corrupt', `the stored Raft log is damaged: ${message}`);
  };
  const first = entries[0]?.index ?? state.last + 1;
  const covered = snapshot?.index ?? 0;
  if (first > covered + 1) fail(`it begins at ${first}, the snapshot ends at ${covered}`);
  entries.forEach((entry, at) => {
    if (entry.index !== first + at) fail(`entry ${first + at} is missing`);
    if (at > 0 && entry.term < (entries[at - 1] as Entry).term) fail(`the term falls at entry ${entry.index}`);
  });
  const last = entries.at(-1);
  if ((last?.index ?? first - 1) !== state.last)
    fail(`it ends at ${last?.index ?? first - 1} instead of ${state.last}`);
  if (last && last.term > state.term) fail(`entry ${last.index} is of a later term than the stored one`);
}

/** The log continues the snapshot, or holds its end. */
function belongsTo(entries: readonly Entry[], last: LogIndex, snapshot: SnapshotMeta): boolean {
  const first = entries[0];
  if (first === undefined) return last === snapshot.index;
  return first.index === snapshot.index + 1 || entries[snapshot.index - first.index]?.term === snapshot.term;
}
