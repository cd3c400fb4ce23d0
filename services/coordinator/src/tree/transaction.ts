import { assert } from '@naru/runtime';
import type { Change, Failure, FailureCode, Stat, StepResult, WriteStep, Zxid } from './command.ts';
import { limits } from './limits.ts';
import { childPath, createPathFault, nameOf, parentOf, pathFault } from './path.ts';
import { ephemeralCost, ephemeralFault, type Session, type Sessions } from './sessions.ts';
import { newZnode, nextVersion, statOf, type Znode } from './znode.ts';

/** The znodes by path; `/` is always there. */
export type Znodes = Map<string, Znode>;

/** What a transaction works on. */
export interface TransactionTree {
  readonly znodes: Znodes;
  readonly sessions: Sessions;
  beforeChange(znode: Znode): void;
}

/**
 * The steps of one write, one after the other on the live tree, each seeing what the steps before it did. Every step checks
 * everything before it changes anything; when one fails, the steps before it are undone from the journal, so that a failed
 * write leaves no trace, not even in a counter.
 */
export class Transaction {
  readonly changes: Change[] = [];
  readonly #tree: TransactionTree;
  readonly #znodes: Znodes;
  readonly #sessions: Sessions;
  readonly #zxid: Zxid;
  readonly #timeMs: number;
  readonly #journal: (() => void)[] = [];

  constructor(tree: TransactionTree, zxid: Zxid, timeMs: number) {
    this.#tree = tree;
    this.#znodes = tree.znodes;
    this.#sessions = tree.sessions;
    this.#zxid = zxid;
    this.#timeMs = timeMs;
  }

  run(steps: readonly WriteStep[], session: Session): Failure | readonly StepResult[] {
    const results: StepResult[] = [];
    for (const step of steps) {
      const result = this.#step(step, session);
      if ('code' in result) {
        this.#rollBack();
        return { ...result, failedIndex: results.length };
      }
      results.push(result);
    }
    return results;
  }

  /** Removes the ephemerals of a session that ends (Z11). Paths ascending, so that every node tells the same changes. */
  removeEphemerals(session: Session): void {
    for (const path of [...session.ephemerals].sort()) {
      const node = this.#znodes.get(path);
      assert(
        node?.ephemeralOwner === session.id,
        `ephemeral ${path} is not where its session ${session.id} says (Z11)`,
      );
      this.#remove(node);
    }
  }

  #step(step: WriteStep, session: Session): Failure | StepResult {
    switch (step.kind) {
      case 'create':
        return this.#create(step, session);
      case 'delete':
        return this.#delete(step);
      case 'set-data':
        return this.#setData(step);
      case 'check':
        return this.#check(step);
    }
  }

  #create(step: Extract<WriteStep, { kind: 'create' }>, session: Session): Failure | StepResult {
    const fault = createPathFault(step.path, step.sequential);
    if (fault !== undefined) return failure('invalid-path', fault);
    const parentPath = parentOf(step.path);
    const parent = this.#znodes.get(parentPath);
    if (parent === undefined) return failure('no-node', `no parent ${parentPath}`);
    if (parent.ephemeralOwner !== '') return failure('no-children-for-ephemerals', `${parentPath} is ephemeral`);
    const name = step.sequential ? nameOf(step.path) + sequenceSuffix(parent) : nameOf(step.path);
    const path = childPath(parentPath, name);
    if (this.#znodes.has(path)) return failure('node-exists', `${path} exists`);
    const limit = this.#createLimit(step, session, parent, path);
    if (limit !== undefined) return failure('limit-exceeded', limit);
    const node = newZnode(path, step.data, this.#zxid, this.#timeMs, step.ephemeral ? session.id : '');
    return { path, stat: this.#insert(node, parent, name, step.sequential) };
  }

  #createLimit(
    step: Extract<WriteStep, { kind: 'create' }>,
    session: Session,
    parent: Znode,
    path: string,
  ): string | undefined {
    if (path.length > limits.pathLengthMax)
      return `path is longer than ${limits.pathLengthMax} characters (pathLengthMax)`;
    if (step.data.length > limits.znodeBytesMax) return dataLimit;
    if ((parent.children?.size ?? 0) >= limits.childrenPerZnodeMax) {
      return `${parent.path} has ${limits.childrenPerZnodeMax} children (childrenPerZnodeMax)`;
    }
    if (step.sequential && parent.nextSequence > limits.sequenceMax)
      return `${parent.path} has no sequence number left (sequenceMax)`;
    if (this.#znodes.size >= limits.znodesMax) return `the tree has ${limits.znodesMax} znodes (znodesMax)`;
    return step.ephemeral ? ephemeralFault(session, 1, ephemeralCost(path, step.data)) : undefined;
  }

  #delete(step: Extract<WriteStep, { kind: 'delete' }>): Failure | StepResult {
    if (step.path === '/') return failure('invalid-path', 'the root cannot be deleted');
    const node = this.#find(step.path, step.version);
    if ('code' in node) return node;
    if ((node.children?.size ?? 0) > 0) return failure('not-empty', `${step.path} has children`);
    this.#remove(node);
    return { path: step.path, stat: undefined };
  }

  #setData(step: Extract<WriteStep, { kind: 'set-data' }>): Failure | StepResult {
    const node = this.#find(step.path, step.version);
    if ('code' in node) return node;
    if (step.data.length > limits.znodeBytesMax) return failure('limit-exceeded', dataLimit);
    const owner = this.#ownerOf(node);
    const growth = step.data.length - node.data.length;
    const limit = owner === undefined || growth <= 0 ? undefined : ephemeralFault(owner, 0, growth);
    if (limit !== undefined) return failure('limit-exceeded', limit);
    return { path: step.path, stat: this.#replaceData(node, step.data) };
  }

  #check(step: Extract<WriteStep, { kind: 'check' }>): Failure | StepResult {
    const node = this.#find(step.path, step.version);
    if ('code' in node) return node;
    if (step.czxid !== 0 && node.czxid !== step.czxid) {
      return failure('bad-version', `${step.path} was created at ${node.czxid}, not at ${step.czxid}`);
    }
    return { path: step.path, stat: undefined };
  }

  #find(path: string, version: number): Failure | Znode {
    const fault = pathFault(path);
    if (fault !== undefined) return failure('invalid-path', fault);
    const node = this.#znodes.get(path);
    if (node === undefined) return failure('no-node', `no znode ${path}`);
    if (version !== -1 && node.version !== version) {
      return failure('bad-version', `${path} has version ${node.version}, not ${version}`);
    }
    return node;
  }

  #insert(node: Znode, parent: Znode, name: string, sequential: boolean): Stat {
    const { pzxid, cversion, nextSequence } = parent;
    const owner = this.#ownerOf(node);
    const cost = ephemeralCost(node.path, node.data);
    this.#tree.beforeChange(parent);
    this.#znodes.set(node.path, node);
    parent.children ??= new Set();
    parent.children.add(name);
    parent.pzxid = this.#zxid;
    parent.cversion = nextVersion(cversion);
    if (sequential) parent.nextSequence += 1;
    owner?.ephemerals.add(node.path);
    if (owner !== undefined) owner.ephemeralBytes += cost;
    this.#journal.push(() => {
      this.#znodes.delete(node.path);
      parent.children?.delete(name);
      Object.assign(parent, { pzxid, cversion, nextSequence });
      owner?.ephemerals.delete(node.path);
      if (owner !== undefined) owner.ephemeralBytes -= cost;
    });
    const stat = statOf(node);
    this.changes.push({ kind: 'created', path: node.path, data: node.data, stat });
    return stat;
  }

  #remove(node: Znode): void {
    const name = nameOf(node.path);
    const parent = this.#znodes.get(parentOf(node.path));
    assert(parent, `${node.path} has no parent`);
    const { pzxid, cversion } = parent;
    const owner = this.#ownerOf(node);
    const cost = ephemeralCost(node.path, node.data);
    this.#tree.beforeChange(parent);
    this.#znodes.delete(node.path);
    assert(parent.children?.delete(name), `${node.path} is not among the children of its parent`);
    parent.pzxid = this.#zxid;
    parent.cversion = nextVersion(cversion);
    owner?.ephemerals.delete(node.path);
    if (owner !== undefined) owner.ephemeralBytes -= cost;
    this.#journal.push(() => {
      this.#znodes.set(node.path, node);
      parent.children?.add(name);
      Object.assign(parent, { pzxid, cversion });
      owner?.ephemerals.add(node.path);
      if (owner !== undefined) owner.ephemeralBytes += cost;
    });
    this.changes.push({ kind: 'deleted', path: node.path });
  }

  #replaceData(node: Znode, data: Uint8Array): Stat {
    const { data: dataBefore, mzxid, mtimeMs, version } = node;
    const owner = this.#ownerOf(node);
    const growth = data.length - dataBefore.length;
    this.#tree.beforeChange(node);
    Object.assign(node, { data, mzxid: this.#zxid, mtimeMs: this.#timeMs, version: nextVersion(version) });
    if (owner !== undefined) owner.ephemeralBytes += growth;
    this.#journal.push(() => {
      Object.assign(node, { data: dataBefore, mzxid, mtimeMs, version });
      if (owner !== undefined) owner.ephemeralBytes -= growth;
    });
    const stat = statOf(node);
    this.changes.push({ kind: 'changed', path: node.path, data, stat });
    return stat;
  }

  #ownerOf(node: Znode): Session | undefined {
    if (node.ephemeralOwner === '') return undefined;
    const owner = this.#sessions.get(node.ephemeralOwner);
    assert(owner, `the owner ${node.ephemeralOwner} of ${node.path} does not live (Z11)`);
    return owner;
  }

  #rollBack(): void {
    for (const undo of this.#journal.reverse()) undo();
    this.changes.length = 0;
  }
}

const dataLimit = `data is larger than ${limits.znodeBytesMax} bytes (znodeBytesMax)`;

function sequenceSuffix(parent: Znode): string {
  return String(parent.nextSequence).padStart(10, '0');
}

function failure(code: FailureCode, message: string): Failure {
  return { ok: false, code, message, failedIndex: -1 };
}
