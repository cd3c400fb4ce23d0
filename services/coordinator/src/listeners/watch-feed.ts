import { RpcError, type RpcStream, type coordinator as wire } from '@naru/rpc';
import type { Change, Zxid } from '../tree/command.ts';
import type { ZnodeView } from '../tree/tree.ts';
import type { TreeMachine } from '../tree/tree-machine.ts';
import { covers, type Watcher } from '../tree/watch-index.ts';
import { watchChanges, watchSnapshot } from './wire.ts';

/** A part of a snapshot stays below this, unless one znode alone is larger. */
const snapshotPartBytesMax = 262_144;

/** A client that does not read loses its stream; it resumes from the history when it is back. */
const backlogBytesMax = 67_108_864;

export interface WatchOptions {
  readonly watchId: number;
  readonly path: string;
  readonly recursive: boolean;
  /** 0: begin with a snapshot. */
  readonly afterZxid: Zxid;
}

/**
 * One watch of one stream: what the client does not have yet (a snapshot, or the changes since `afterZxid`), then every change as it
 * is applied. A snapshot of a large subtree leaves in parts, as fast as the client takes them; the changes meanwhile wait
 * in the history:
 *   1. the snapshot is taken at zxid 100 and its first part leaves; the connection is full;
 *   2. zxid 101 changes a znode that the watch covers; the feed is not in the index yet and hears nothing;
 *   3. the connection drains, the last part leaves; the feed reads the history since 100, sends 101, and joins the index.
 * No change can come between reading the history and joining the index: both happen in one synchronous step.
 */
export class WatchFeed implements Watcher {
  readonly path: string;
  readonly recursive: boolean;
  readonly #options: WatchOptions;
  readonly #machine: TreeMachine;
  readonly #stream: RpcStream<wire.SessionResponse, wire.SessionRequest>;
  #snapshot: { readonly zxid: Zxid; readonly nodes: readonly ZnodeView[]; next: number } | undefined;
  #live = false;
  #closed = false;

  constructor(
    options: WatchOptions,
    machine: TreeMachine,
    stream: RpcStream<wire.SessionResponse, wire.SessionRequest>,
  ) {
    this.path = options.path;
    this.recursive = options.recursive;
    this.#options = options;
    this.#machine = machine;
    this.#stream = stream;
  }

  /** Sends what it can; true when the client is up to date and hears every change from now on. Else call again after a drain. */
  catchUp(): boolean {
    if (this.#live || this.#closed) return true;
    const { afterZxid } = this.#options;
    if (this.#snapshot === undefined && !(afterZxid > 0 && this.#resume(afterZxid))) this.#takeSnapshot();
    while (this.#snapshot !== undefined) {
      const { zxid } = this.#snapshot;
      if (!this.#sendParts()) return false;
      this.#snapshot = undefined;
      // The history may have lost what changed while a slow client took its parts.
      if (!this.#resume(zxid)) this.#takeSnapshot();
    }
    this.#machine.watches.add(this);
    this.#live = true;
    return true;
  }

  onChanges(changes: readonly Change[], zxid: Zxid): void {
    this.#stream.send(watchChanges(this.#options.watchId, zxid, changes));
    if (this.#stream.pendingBytes > backlogBytesMax) {
      this.#stream.fail(
        new RpcError('resource-exhausted', `more than ${backlogBytesMax} bytes of events wait (backlogBytesMax)`),
      );
    }
  }

  close(): void {
    if (this.#live) this.#machine.watches.remove(this);
    this.#live = false;
    this.#closed = true;
    this.#snapshot = undefined;
  }

  /**
   * The changes after `zxid`, then an empty one with the zxid up to which the client has now seen everything. False when they are
   * not known any more, or lie in the future of this node (of another cluster).
   */
  #resume(zxid: Zxid): boolean {
    const applied = this.#machine.tree.zxid;
    if (zxid > applied) return false;
    const entries = this.#machine.history.since(zxid);
    if (entries === undefined) return false;
    for (const entry of entries) {
      const covered = entry.changes.filter((change) => covers(this, change.path));
      if (covered.length > 0) this.onChanges(covered, entry.zxid);
    }
    this.onChanges([], applied);
    return true;
  }

  #takeSnapshot(): void {
    const { tree } = this.#machine;
    this.#snapshot = { zxid: tree.zxid, nodes: tree.subtree(this.path, this.recursive), next: 0 };
  }

  #sendParts(): boolean {
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return true;
    const { nodes, zxid } = snapshot;
    for (;;) {
      const first = snapshot.next;
      let bytes = 0;
      while (snapshot.next < nodes.length && (bytes === 0 || bytes < snapshotPartBytesMax)) {
        const node = nodes[snapshot.next] as ZnodeView;
        bytes += 100 + node.path.length + node.data.length;
        snapshot.next += 1;
      }
      const done = snapshot.next === nodes.length;
      const flowing = this.#stream.send(
        watchSnapshot(this.#options.watchId, zxid, nodes.slice(first, snapshot.next), done),
      );
      if (done) return true;
      if (!flowing) return false;
    }
  }
}
