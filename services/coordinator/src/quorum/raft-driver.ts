import type { Logger } from '@naru/observability';
import type { Entry, LogIndex, Message, Raft, Ready, SnapshotMeta } from '@naru/raft';
import { assert, type Timers } from '@naru/runtime';
import { QuorumError } from './errors.ts';
import type { PendingRequests } from './pending-requests.ts';
import type { RaftStorage } from './raft-storage.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import type { ReceivedSnapshot } from './snapshot-transfer.ts';
import type { StateMachine } from './state-machine.ts';

export interface SnapshotPolicy {
  /** Entries applied since the last snapshot. */
  readonly thresholdEntries: number;
  /** Bytes of commands applied since the last snapshot. */
  readonly thresholdBytes: number;
  /** Entries kept before a snapshot, so that a follower that is a little behind needs no snapshot. */
  readonly tailEntries: number;
  readonly tailBytes: number;
}

export interface RaftDriverOptions {
  readonly raft: Raft;
  readonly storage: RaftStorage;
  readonly snapshots: SnapshotStore;
  readonly machine: StateMachine;
  readonly pending: PendingRequests;
  readonly policy: SnapshotPolicy;
  readonly timers: Timers;
  readonly logger: Logger;
  /** What the state machine holds after opening. */
  readonly applied: LogIndex;
  send(message: Message): void;
  onConfigurationApplied(entry: Entry): void;
  /** After each turn, when nothing more is due for now. */
  onTurn(): void;
  /** Final: nothing is driven any more. */
  onFailure(error: Error): void;
}

/**
 * Does what Raft wants done, in the order that `Ready` asks for. Events of one turn of the event loop share a round: while a sync is
 * under way proposals gather, and the next sync serves them all (group commit).
 */
export class RaftDriver {
  readonly #options: RaftDriverOptions;
  readonly #raft: Raft;
  #applied: LogIndex;
  #scheduled = false;
  #stopped = false;
  /** The write under way, for `stop`. */
  #writing: Promise<void> = Promise.resolve();
  /** States whose installation Raft has not asked for yet, by index. */
  readonly #received = new Map<LogIndex, Uint8Array>();
  #snapshotIndex: LogIndex;
  #bytesSinceSnapshot = 0;
  #savingSnapshot: Promise<void> | undefined;
  /** A durable snapshot whose entries wait for their own sync before they may be forgotten. */
  #compactionDue: SnapshotMeta | undefined;

  constructor(options: RaftDriverOptions) {
    this.#options = options;
    this.#raft = options.raft;
    this.#applied = options.applied;
    this.#snapshotIndex = options.snapshots.newest?.index ?? 0;
  }

  get applied(): LogIndex {
    return this.#applied;
  }

  /** Something happened to Raft: takes its effects at the end of this turn, together with those of its neighbours. */
  schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#options.timers.nextTurn(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  /** A broken invariant in `event` stops the node, as everything here does. */
  guard(event: () => void): void {
    if (this.#stopped) return;
    try {
      event();
    } catch (error) {
      this.#fail(error);
    }
    this.schedule();
  }

  receiveSnapshot(received: ReceivedSnapshot): void {
    this.guard(() => {
      this.#received.set(received.message.snapshot.index, received.state);
      this.#raft.step(received.message);
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#writing;
    await this.#savingSnapshot;
  }

  #turn(): void {
    if (this.#stopped) return;
    try {
      while (!this.#stopped && this.#raft.hasReady()) this.#perform(this.#raft.ready());
      this.#options.pending.serveReads(this.#applied);
      this.#snapshotWhenDue();
      this.#options.onTurn();
    } catch (error) {
      this.#fail(error);
    }
  }

  #perform(ready: Ready): void {
    for (const message of ready.messages) this.#options.send(message);
    for (const entry of ready.committedEntries) this.#apply(entry);
    for (const read of ready.readStates) this.#options.pending.readConfirmed(read.context, read.index);
    if (ready.mustSync) this.#writing = this.#write(ready);
    else for (const message of ready.messagesAfterSync) this.#options.send(message);
  }

  #apply(entry: Entry): void {
    assert(entry.index === this.#applied + 1, 'entries are applied in order, each once');
    const { machine, pending, onConfigurationApplied } = this.#options;
    const { index, term, data } = entry;
    const result = entry.kind === 'command' ? machine.apply({ index, term, data }) : undefined;
    this.#applied = index;
    this.#bytesSinceSnapshot += data.length;
    if (entry.kind === 'configuration') onConfigurationApplied(entry);
    pending.applied(index, term, result, this.#raft.leader);
  }

  async #write(ready: Ready): Promise<void> {
    const { storage } = this.#options;
    const { hardState, snapshot } = ready;
    assert(hardState !== undefined, 'a write names term and vote');
    try {
      if (snapshot) await this.#install(snapshot, ready);
      else await storage.write(ready.entries, hardState);
      if (this.#stopped) return;
      for (const message of ready.messagesAfterSync) this.#options.send(message);
      this.#raft.advance(ready);
      this.#compactWhenStable();
    } catch (error) {
      // Rows 36 and 56: what was to be acknowledged is not known to be durable, and trying again would not make it so.
      this.#fail(error);
      return;
    }
    // At once: what gathered during the sync has waited long enough.
    this.#turn();
  }

  /** Row 31: the file is durable, then the log that it replaces goes, then the state changes, then Raft acknowledges. */
  async #install(meta: SnapshotMeta, ready: Ready): Promise<void> {
    const { snapshots, storage, machine, pending, logger } = this.#options;
    const state = this.#received.get(meta.index);
    assert(state !== undefined, 'Raft installs only snapshots that were received');
    await snapshots.save(meta, [state]);
    await storage.replace(meta, ready.entries, ready.hardState as NonNullable<Ready['hardState']>);
    for (const index of this.#received.keys()) if (index <= meta.index) this.#received.delete(index);
    machine.restore(state, meta.index);
    this.#applied = meta.index;
    this.#snapshotIndex = meta.index;
    this.#bytesSinceSnapshot = 0;
    // What was proposed here before is either in the snapshot or gone; nobody can tell any more.
    pending.leadershipLost(0, this.#raft.leader);
    logger.info({ index: meta.index, bytes: state.length }, 'installed a snapshot of the leader');
  }

  #snapshotWhenDue(): void {
    const { policy } = this.#options;
    // While a leader's snapshot is being installed, Raft is ahead of the state.
    if (this.#savingSnapshot !== undefined || this.#compactionDue || this.#raft.appliedIndex !== this.#applied) return;
    const entries = this.#applied - this.#snapshotIndex;
    const due = entries >= policy.thresholdEntries || this.#bytesSinceSnapshot >= policy.thresholdBytes;
    if (due && entries > 0) this.#savingSnapshot = this.#takeSnapshot();
  }

  async #takeSnapshot(): Promise<void> {
    const { machine, snapshots, logger } = this.#options;
    try {
      const meta = this.#raft.snapshotMeta(this.#applied);
      const state = machine.snapshot();
      this.#snapshotIndex = meta.index;
      this.#bytesSinceSnapshot = 0;
      await snapshots.save(meta, state).finally(() => state.release());
      logger.debug({ index: meta.index }, 'snapshot taken');
      if (this.#stopped) return;
      this.#compactionDue = meta;
      this.#compactWhenStable();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#savingSnapshot = undefined;
    }
  }

  #compactWhenStable(): void {
    const meta = this.#compactionDue;
    if (meta === undefined || this.#raft.stableIndex < meta.index) return;
    this.#compactionDue = undefined;
    const { tailEntries, tailBytes } = this.#options.policy;
    const keepFrom = this.#raft.tailFrom(meta.index, tailEntries, tailBytes);
    this.#raft.compact(meta, keepFrom);
    this.#options.storage.removeBefore(keepFrom).catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const failure = error instanceof Error ? error : new Error(String(error));
    const operational = 'code' in failure && !(failure instanceof QuorumError);
    this.#options.onFailure(
      operational ? new QuorumError('storage-failed', failure.message, { cause: failure }) : failure,
    );
  }
}
