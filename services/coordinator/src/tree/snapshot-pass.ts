import { TreeSnapshot, type ZnodeRecord } from '@naru/rpc/generated/naru/coordinator/v1/command';
import type { Sessions } from './sessions.ts';
import type { Znode } from './znode.ts';

export const snapshotFormat = 1;

/** A piece ends after so many znodes, or so many bytes of data: it is encoded in one turn, and heartbeats wait for that. */
const pieceZnodesMax = 1_000;
const pieceBytesMax = 256 * 1024;

/**
 * The state at one index (row 32), encoded a piece at a time while commands go on changing the tree: 100,000 znodes at once would hold up everything for
 * longer than a heartbeat may take.
 *
 * The list of znodes is of the beginning. Whoever changes one says so before (`beforeChange`), and what it was is kept until its turn; a znode that was deleted is still
 * in the list, a new one is not. The pieces one after the other are a `TreeSnapshot`: repeated fields add up. Parents come before their children, for the map
 * of the znodes has them in the order in which they were made.
 */
export class SnapshotPass implements Iterable<Uint8Array> {
  readonly #head: Uint8Array;
  readonly #znodes: readonly Znode[];
  readonly #before = new Map<Znode, ZnodeRecord>();
  readonly #onReleased: (pass: SnapshotPass) => void;

  constructor(
    state: { readonly znodes: ReadonlyMap<string, Znode>; readonly sessions: Sessions; readonly zxid: number },
    commandChain: number,
    onReleased: (pass: SnapshotPass) => void,
  ) {
    this.#head = encodePart({ ...headOf(state, commandChain), znodes: [] });
    this.#znodes = [...state.znodes.values()];
    this.#onReleased = onReleased;
  }

  beforeChange(znode: Znode): void {
    if (!this.#before.has(znode)) this.#before.set(znode, recordOf(znode));
  }

  *[Symbol.iterator](): Iterator<Uint8Array> {
    yield this.#head;
    let piece: ZnodeRecord[] = [];
    let bytes = 0;
    for (const znode of this.#znodes) {
      const record = this.#before.get(znode) ?? recordOf(znode);
      piece.push(record);
      bytes += record.data.length;
      if (piece.length < pieceZnodesMax && bytes < pieceBytesMax) continue;
      yield encodePart({ ...emptyHead, znodes: piece });
      piece = [];
      bytes = 0;
    }
    if (piece.length > 0) yield encodePart({ ...emptyHead, znodes: piece });
  }

  /** No more pieces are wanted: changes need not be told any more. */
  release(): void {
    this.#before.clear();
    this.#onReleased(this);
  }
}

const emptyHead = { format: 0, zxid: 0, commandChain: 0, sessions: [] };

function encodePart(part: TreeSnapshot): Uint8Array {
  return TreeSnapshot.encode(part).finish();
}

/** Sessions ascending by id. */
export function headOf(
  { zxid, sessions }: { readonly zxid: number; readonly sessions: Sessions },
  commandChain: number,
): Omit<TreeSnapshot, 'znodes'> {
  return {
    format: snapshotFormat,
    zxid,
    commandChain,
    sessions: [...sessions.values()]
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map(({ id, password, timeoutMs, touches }) => ({ sessionId: id, password, timeoutMs, touches })),
  };
}

export function recordOf(node: Znode): ZnodeRecord {
  const { path, data, czxid, mzxid, pzxid, version, cversion, ctimeMs, mtimeMs, ephemeralOwner, nextSequence } = node;
  return { path, data, czxid, mzxid, pzxid, version, cversion, ctimeMs, mtimeMs, ephemeralOwner, nextSequence };
}
