import { createHash } from 'node:crypto';
import { TreeSnapshot, type ZnodeRecord } from '@naru/rpc/generated/naru/coordinator/v1/command';
import { assert } from '@naru/runtime';
import { nameOf, parentOf } from './path.ts';
import { ephemeralCost, newSession } from './sessions.ts';
import { Tree } from './tree.ts';
import type { Znode } from './znode.ts';

const format = 1;

/** A snapshot that cannot be read: another format, or not whole. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
}

/** Znodes, sessions and the chain of commands at one index (row 32). Equal states give equal bytes. */
export function encodeSnapshot(tree: Tree, commandChain: number): Uint8Array {
  return TreeSnapshot.encode({
    format,
    zxid: tree.zxid,
    commandChain,
    sessions: [...tree.sessions.values()]
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map(({ id, password, timeoutMs, touches }) => ({ sessionId: id, password, timeoutMs, touches })),
    znodes: [...tree.znodes.keys()].sort().map((path) => recordOf(tree.znodes.get(path) as Znode)),
  }).finish();
}

/** The state that `encodeSnapshot` saw. Throws `SnapshotError`. */
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
  return createHash('sha256').update(encodeSnapshot(tree, commandChain)).digest('hex');
}

function readSnapshot(bytes: Uint8Array): TreeSnapshot {
  let snapshot: TreeSnapshot;
  try {
    snapshot = TreeSnapshot.decode(bytes);
  } catch (error) {
    throw new SnapshotError('a snapshot is not whole', { cause: error });
  }
  if (snapshot.format !== format)
    throw new SnapshotError(`a snapshot has format ${snapshot.format}, this version reads ${format}`);
  return snapshot;
}

function recordOf(node: Znode): ZnodeRecord {
  const { path, data, czxid, mzxid, pzxid, version, cversion, ctimeMs, mtimeMs, ephemeralOwner, nextSequence } = node;
  return { path, data, czxid, mzxid, pzxid, version, cversion, ctimeMs, mtimeMs, ephemeralOwner, nextSequence };
}

/** Paths ascend, so a parent is always there before its children. */
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
