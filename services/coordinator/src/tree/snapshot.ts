import { createHash } from 'node:crypto';
import { TreeSnapshot, type ZnodeRecord } from '@naru/rpc/generated/naru/coordinator/v1/command';
import { assert } from '@naru/runtime';
import { nameOf, parentOf } from './path.ts';
import { ephemeralCost, newSession } from './sessions.ts';
import { headOf, recordOf, snapshotFormat } from './snapshot-pass.ts';
import { Tree } from './tree.ts';
import type { Znode } from './znode.ts';

/** A snapshot that cannot be read: another format, or not whole. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
}

/** Znodes, sessions and the chain of commands, all at once and in one order: equal states give equal bytes. For digests; a snapshot is made by `SnapshotPass`. */
function encodeState(tree: Tree, commandChain: number): Uint8Array {
  const znodes = [...tree.znodes.keys()].sort().map((path) => recordOf(tree.znodes.get(path) as Znode));
  return TreeSnapshot.encode({ ...headOf(tree, commandChain), znodes }).finish();
}

/** The state that a `SnapshotPass` saw. Throws `SnapshotError`. */
export function decodeSnapshot(bytes: Uint8Array): { readonly tree: Tree; readonly commandChain: number } {
  const snapshot = readSnapshot(bytes);
  const tree = new Tree();
  if (snapshot.zxid > 0) tree.advanceTo(snapshot.zxid);
  for (const { sessionId, password, timeoutMs, touches } of snapshot.sessions) {
    tree.sessions.set(sessionId, newSession(sessionId, new Uint8Array(password), timeoutMs, touches));
  }
  for (const record of snapshot.znodes) insert(tree, record);
  return { tree, commandChain: snapshot.commandChain };
}

/** A digest of the whole state, for comparing nodes at the same index (Z7). Costs as much as a snapshot. */
export function stateHash(tree: Tree, commandChain: number): string {
  return createHash('sha256').update(encodeState(tree, commandChain)).digest('hex');
}

function readSnapshot(bytes: Uint8Array): TreeSnapshot {
  let snapshot: TreeSnapshot;
  try {
    snapshot = TreeSnapshot.decode(bytes);
  } catch (error) {
    throw new SnapshotError('a snapshot is not whole', { cause: error });
  }
  if (snapshot.format !== snapshotFormat)
    throw new SnapshotError(`a snapshot has format ${snapshot.format}, this version reads ${snapshotFormat}`);
  return snapshot;
}

/** A parent is always there before its children. */
function insert(tree: Tree, record: ZnodeRecord): void {
  const node: Znode = { ...record, data: new Uint8Array(record.data), children: undefined };
  tree.znodes.set(node.path, node);
  if (node.path === '/') return;
  const parent = tree.znodes.get(parentOf(node.path));
  if (parent === undefined) throw new SnapshotError(`a snapshot holds ${node.path} without its parent`);
  parent.children ??= new Set();
  parent.children.add(nameOf(node.path));
  if (node.ephemeralOwner === '') return;
  const owner = tree.sessions.get(node.ephemeralOwner);
  assert(owner, `a snapshot holds the ephemeral ${node.path} without its session (Z11)`);
  owner.ephemerals.add(node.path);
  owner.ephemeralBytes += ephemeralCost(node.path, node.data);
}
