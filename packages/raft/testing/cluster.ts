import { createHash } from 'node:crypto';
import { Raft } from '../src/raft.ts';
import type {
  Configuration,
  Entry,
  HardState,
  LogIndex,
  Message,
  NodeId,
  RaftLimits,
  Ready,
  SnapshotMeta,
} from '../src/types.ts';
import type { Checkers } from './checkers.ts';
import type { Prng } from './prng.ts';
import type { Rules } from './rules.ts';

/** What survives a crash. */
interface Disk {
  hardState: HardState;
  snapshot: { readonly meta: SnapshotMeta; readonly chain: string } | undefined;
  entries: Entry[];
}

export interface Envelope {
  readonly message: Message;
  /** Of a snapshot message: the state that it stands for. */
  readonly chain: string | undefined;
}

export interface ClusterOptions {
  readonly nodes: readonly NodeId[];
  readonly configuration: Configuration;
  readonly rules: Rules;
  readonly random: Prng;
  readonly checkers: Checkers;
  readonly limits?: Partial<RaftLimits>;
  readonly electionTicks?: number;
  readonly heartbeatTicks?: number;
}

/** One node: Raft, a disk that forgets what was not synced, and a state machine that hashes what it applies (Z4). */
export class SimulatedNode {
  readonly id: NodeId;
  readonly #options: ClusterOptions;
  readonly #send: (envelope: Envelope) => void;
  readonly disk: Disk = { hardState: { term: 0, vote: 0, commit: 0 }, snapshot: undefined, entries: [] };
  raft: Raft | undefined;
  /** The round that is being written. */
  writing: Ready | undefined;
  /** Called with each round, for scenarios. */
  onReady: (ready: Ready) => void = () => {};
  applied: LogIndex = 0;
  #chain = '';
  /** The states that came with snapshots, by index. */
  readonly #arrived = new Map<LogIndex, string>();
  #readStarts = new Map<number, LogIndex>();
  #readContext = 0;
  reads = 0;
  snapshotsInstalled = 0;

  constructor(id: NodeId, options: ClusterOptions, send: (envelope: Envelope) => void) {
    this.id = id;
    this.#options = options;
    this.#send = send;
  }

  start(): void {
    const { disk } = this;
    const { configuration, random, limits, electionTicks = 10, heartbeatTicks = 2 } = this.#options;
    this.raft = new Raft({
      id: this.id,
      configuration,
      stored: {
        hardState: disk.hardState,
        entries: disk.entries,
        ...(disk.snapshot ? { snapshot: disk.snapshot.meta } : {}),
      },
      electionTicks,
      heartbeatTicks,
      random: () => random.float(),
      ...(limits ? { limits } : {}),
    });
    this.applied = disk.snapshot?.meta.index ?? 0;
    this.#chain = disk.snapshot?.chain ?? '';
    this.#readStarts.clear();
    this.work();
  }

  /** Power loss: the write under way is whole or missing. */
  crash(): void {
    if (this.writing && this.#options.random.chance(0.5)) this.#store(this.writing);
    this.writing = undefined;
    this.raft = undefined;
  }

  receive(envelope: Envelope): void {
    if (this.raft === undefined) return;
    const { message, chain } = envelope;
    if (message.kind === 'snapshot') this.#arrived.set(message.snapshot.index, chain ?? '');
    this.raft.step(message);
    this.work();
  }

  read(): void {
    if (this.raft === undefined) return;
    this.#readContext += 1;
    const start = this.#options.checkers.committedMax;
    if (!this.#options.rules.confirmsReads && this.raft.status().role === 'leader') {
      this.#options.checkers.read(this.id, this.raft.status().commitIndex, start);
    } else if (this.raft.requestRead(this.#readContext).ok) {
      this.#readStarts.set(this.#readContext, start);
    }
    this.work();
  }

  compact(keep: number): void {
    const { raft } = this;
    if (raft === undefined || this.applied === 0 || this.writing !== undefined) return;
    if (raft.status().stableIndex < this.applied || this.applied <= (this.disk.snapshot?.meta.index ?? 0)) return;
    const meta = raft.snapshotMeta(this.applied);
    this.disk.snapshot = { meta, chain: this.#chain };
    const keepFrom = Math.max(1, this.applied - keep + 1);
    this.disk.entries = this.disk.entries.filter((entry) => entry.index >= keepFrom);
    raft.compact(meta, keepFrom);
  }

  /** Takes rounds until nothing is due. */
  work(): void {
    const { raft } = this;
    if (raft === undefined) return;
    const core = Raft.coreOf(raft);
    this.#options.rules.afterStep(core);
    this.#options.checkers.observe(core);
    while (raft.hasReady()) this.#perform(raft, raft.ready());
    this.#options.checkers.observe(core);
  }

  finishWrite(): void {
    const ready = this.writing;
    if (ready === undefined || this.raft === undefined) return;
    this.writing = undefined;
    this.#store(ready);
    if (this.#options.rules.promisesAfterSync) this.#sendAll(ready.messagesAfterSync);
    if (this.#options.rules.advancesAfterSync) this.raft.advance(ready);
    this.work();
  }

  #perform(raft: Raft, ready: Ready): void {
    this.onReady(ready);
    this.#sendAll(ready.messages);
    if (ready.snapshot) this.#restore(ready.snapshot);
    for (const entry of ready.committedEntries) this.#apply(entry);
    for (const read of ready.readStates) this.#answer(read.context, read.index);
    const { promisesAfterSync, advancesAfterSync } = this.#options.rules;
    if (!ready.mustSync || !promisesAfterSync) this.#sendAll(ready.messagesAfterSync);
    if (!ready.mustSync) return;
    const early = this.writing;
    this.writing = early === undefined ? ready : merge(early, ready);
    if (!advancesAfterSync) raft.advance(ready);
  }

  #answer(context: number, index: LogIndex): void {
    const start = this.#readStarts.get(context);
    if (start === undefined) return;
    this.#readStarts.delete(context);
    this.reads += 1;
    this.#options.checkers.read(this.id, index, start);
  }

  #restore(meta: SnapshotMeta): void {
    this.snapshotsInstalled += 1;
    this.applied = meta.index;
    this.#chain = this.#arrived.get(meta.index) ?? '';
    this.#options.checkers.chain(this.id, meta.index, this.#chain);
  }

  #apply(entry: Entry): void {
    if (entry.index !== this.applied + 1)
      throw new Error(`node ${this.id} applies ${entry.index} after ${this.applied}`);
    this.applied = entry.index;
    const hash = createHash('md5').update(this.#chain).update(`${entry.term} ${entry.kind}`).update(entry.data);
    this.#chain = hash.digest('base64');
    this.#options.checkers.applied(this.id, entry, this.#chain);
  }

  #store(ready: Ready): void {
    const { disk } = this;
    if (ready.snapshot) {
      disk.snapshot = { meta: ready.snapshot, chain: this.#arrived.get(ready.snapshot.index) ?? '' };
      disk.entries = [];
    }
    const first = ready.entries[0];
    if (first) {
      disk.entries = disk.entries.filter((entry) => entry.index < first.index);
      const previous = disk.entries.at(-1)?.term ?? (first.index === 1 ? 0 : undefined);
      this.#options.checkers.written(this.id, ready.entries, previous);
      disk.entries.push(...ready.entries);
    }
    if (ready.hardState) {
      disk.hardState = this.#options.rules.storedHardState(ready.hardState);
      this.#options.checkers.stored(this.id, ready.hardState);
    }
  }

  #sendAll(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#options.checkers.sent(message);
      this.#send({ message, chain: message.kind === 'snapshot' ? this.disk.snapshot?.chain : undefined });
    }
  }
}

function merge(earlier: Ready, later: Ready): Ready {
  const first = later.entries[0]?.index ?? Number.POSITIVE_INFINITY;
  return {
    ...later,
    snapshot: later.snapshot ?? earlier.snapshot,
    entries: [...earlier.entries.filter((entry) => entry.index < first), ...later.entries],
    hardState: later.hardState ?? earlier.hardState,
    messagesAfterSync: [...earlier.messagesAfterSync, ...later.messagesAfterSync],
  };
}
