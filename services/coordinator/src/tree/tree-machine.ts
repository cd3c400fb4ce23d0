import { crc32 } from 'node:zlib';
import { assert } from '@naru/runtime';
import type { Outcome, Zxid } from './command.ts';
import { decodeCommand } from './command-codec.ts';
import { History, type HistoryBounds } from './history.ts';
import { decodeSnapshot, stateHash } from './snapshot.ts';
import type { SnapshotPass } from './snapshot-pass.ts';
import { Tree } from './tree.ts';
import { WatchIndex } from './watch-index.ts';

/** A committed entry of the log. */
interface CommittedCommand {
  readonly index: Zxid;
  readonly term: number;
  readonly data: Uint8Array;
}

/**
 * What the quorum replicates (its `StateMachine`): applies each committed command to the tree, remembers what it changed, and tells the watchers.
 * The order inside `apply` is the promise of watches: the events of a change are on their way before the answer to whoever
 * made it, and before any read can see it (Z10).
 */
export class TreeMachine {
  readonly watches = new WatchIndex();
  readonly history: History;
  #tree = new Tree();
  /** CRC-32 over every command since the first (Z4): two nodes with the same index and chain applied the same log. */
  #commandChain = 0;

  constructor(bounds?: HistoryBounds) {
    this.history = new History(bounds);
  }

  /** Do not keep it: a restored snapshot replaces it. */
  get tree(): Tree {
    return this.#tree;
  }

  get commandChain(): number {
    return this.#commandChain;
  }

  apply({ index, term, data }: CommittedCommand): Outcome {
    const { outcome, changes } = this.#tree.apply({ zxid: index, term }, decodeCommand(data));
    this.#commandChain = crc32(data, this.#commandChain);
    if (changes.length > 0) {
      this.history.push(index, changes);
      this.watches.dispatch(index, changes);
    }
    return outcome;
  }

  snapshot(): SnapshotPass {
    return this.#tree.beginSnapshot(this.#commandChain);
  }

  restore(bytes: Uint8Array, index: number): void {
    const { tree, commandChain } = decodeSnapshot(bytes);
    assert(tree.zxid <= index, `a snapshot of index ${index} holds zxid ${tree.zxid}`);
    this.#tree = tree;
    this.#commandChain = commandChain;
    // Not at `index`: the entries between the last command and the snapshot changed nothing.
    this.history.restartAt(tree.zxid);
  }

  stateHash(): string {
    return stateHash(this.#tree, this.#commandChain);
  }
}
