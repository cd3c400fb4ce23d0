import {
  CoordinatorError,
  type CoordinatorErrorCode,
  type CoordinatorSession,
  type SessionState,
  type Stat,
  type WatchChange,
  type WatchListener,
  type WriteOperation,
  type WriteResult,
  type Znode,
  type Zxid,
} from '@naru/coordinator-client';

interface Node {
  data: Uint8Array;
  stat: Stat;
}

/** What happens to the next write of a session. */
export type WriteFault =
  /** The write happens, its answer is lost. */
  | 'lose-answer'
  /** The write never arrives. */
  | 'lose-request';

/**
 * The coordinator as a model: one tree, any number of sessions, everything at once and in order. Watches are delivered before the answer of the write that
 * they tell of, as the real coordinator does; faults are switched on by the test.
 */
export class CoordinatorModel {
  readonly nodes = new Map<string, Node>([['/', { data: new Uint8Array(), stat: newStat(0, '', 0) }]]);
  zxid: Zxid = 0;
  /** Writes that succeeded, in order. */
  readonly log: { readonly session: string; readonly operations: readonly WriteOperation[]; readonly zxid: Zxid }[] =
    [];
  #sessions: ModelSession[] = [];
  readonly #childCounts = new Map<string, number>();

  openSession(): ModelSession {
    this.zxid += 1;
    const session = new ModelSession(this, `session-${this.zxid}`);
    this.#sessions.push(session);
    return session;
  }

  /** Ends a session as the coordinator does when it has heard nothing for too long; the client learns of it by `noticeExpiry`. */
  expire(session: ModelSession): void {
    this.#sessions = this.#sessions.filter((other) => other !== session);
    session.isLive = false;
    const own = [...this.nodes].filter(([, node]) => node.stat.ephemeralOwner === session.id).map(([path]) => path);
    this.zxid += 1;
    for (const path of own) this.#remove(path);
    this.#publish(own.sort().map((path) => ({ kind: 'deleted', path })));
  }

  write(session: ModelSession, operations: readonly WriteOperation[]): WriteResult {
    this.zxid += 1;
    const undo: (() => void)[] = [];
    const changes: WatchChange[] = [];
    const results: { path: string; stat: Stat | undefined }[] = [];
    for (const [index, operation] of operations.entries()) {
      const fault = this.#apply(session, operation, undo, changes, results);
      if (fault === undefined) continue;
      for (const step of undo.reverse()) step();
      throw new CoordinatorError(fault, `${operation.kind} ${operation.path}: ${fault}`, index);
    }
    this.log.push({ session: session.id, operations, zxid: this.zxid });
    this.#publish(changes);
    return { zxid: this.zxid, results };
  }

  snapshot(): readonly Znode[] {
    return [...this.nodes].map(([path, { data, stat }]) => ({ path, data, stat }));
  }

  text(path: string): string {
    return Buffer.from(this.nodes.get(path)?.data ?? []).toString();
  }

  #apply(
    session: ModelSession,
    operation: WriteOperation,
    undo: (() => void)[],
    changes: WatchChange[],
    results: { path: string; stat: Stat | undefined }[],
  ): CoordinatorErrorCode | undefined {
    const { path } = operation;
    const node = this.nodes.get(path);
    if (operation.kind === 'create') {
      if (node !== undefined) return 'node-exists';
      if (!this.nodes.has(parentOf(path))) return 'no-node';
      const stat = newStat(this.zxid, operation.ephemeral ? session.id : '', operation.data.length);
      this.#insert(path, { data: operation.data, stat });
      undo.push(() => this.#remove(path));
      changes.push({ kind: 'created', node: { path, data: operation.data, stat } });
      results.push({ path, stat });
      return undefined;
    }
    if (node === undefined) return 'no-node';
    if (operation.version !== undefined && operation.version !== -1 && operation.version !== node.stat.version)
      return 'bad-version';
    if (operation.kind === 'check') {
      if (operation.czxid !== undefined && operation.czxid !== node.stat.czxid) return 'bad-version';
      results.push({ path, stat: undefined });
      return undefined;
    }
    const before = { ...node };
    if (operation.kind === 'delete') {
      if ((this.#childCounts.get(path) ?? 0) > 0) return 'not-empty';
      this.#remove(path);
      undo.push(() => this.#insert(path, before));
      changes.push({ kind: 'deleted', path });
      results.push({ path, stat: undefined });
      return undefined;
    }
    undo.push(() => this.nodes.set(path, before));
    const stat = { ...node.stat, version: node.stat.version + 1, mzxid: this.zxid, dataLength: operation.data.length };
    this.nodes.set(path, { data: operation.data, stat });
    changes.push({ kind: 'changed', node: { path, data: operation.data, stat } });
    results.push({ path, stat });
    return undefined;
  }

  #insert(path: string, node: Node): void {
    this.nodes.set(path, node);
    this.#childCounts.set(parentOf(path), (this.#childCounts.get(parentOf(path)) ?? 0) + 1);
  }

  #remove(path: string): void {
    this.nodes.delete(path);
    this.#childCounts.set(parentOf(path), (this.#childCounts.get(parentOf(path)) ?? 0) - 1);
  }

  #publish(changes: readonly WatchChange[]): void {
    if (changes.length === 0) return;
    for (const session of this.#sessions) session.deliver(changes, this.zxid);
  }
}

export class ModelSession implements CoordinatorSession {
  readonly id: string;
  isLive = true;
  state: SessionState = 'connected';
  /** Taken one by one by the writes that follow. */
  readonly faults: WriteFault[] = [];
  /** Called before each write reaches the coordinator: to let something happen in between. */
  beforeWrite: ((operations: readonly WriteOperation[]) => void | Promise<void>) | undefined;
  readonly #model: CoordinatorModel;
  readonly #listeners: ((state: SessionState) => void)[] = [];
  #watchers: WatchListener[] = [];
  #held: (() => void)[] | undefined;

  constructor(model: CoordinatorModel, id: string) {
    this.#model = model;
    this.id = id;
  }

  async write(operations: readonly WriteOperation[]): Promise<WriteResult> {
    await this.beforeWrite?.(operations);
    this.#refuseWhenOver();
    const fault = this.faults.shift();
    if (fault === 'lose-request') throw new CoordinatorError('connection-loss', 'lost on the way');
    try {
      const result = this.#model.write(this, operations);
      if (fault === undefined) return result;
    } catch (error) {
      if (fault === undefined) throw error;
    }
    throw new CoordinatorError('connection-loss', 'the answer was lost');
  }

  async getData(path: string): Promise<Znode | undefined> {
    this.#refuseWhenOver();
    const node = this.#model.nodes.get(path);
    return node === undefined ? undefined : { path, data: node.data, stat: node.stat };
  }

  async exists(path: string): Promise<Stat | undefined> {
    return (await this.getData(path))?.stat;
  }

  async getChildren(path: string): Promise<readonly string[] | undefined> {
    this.#refuseWhenOver();
    if (!this.#model.nodes.has(path)) return undefined;
    const prefix = path === '/' ? '/' : `${path}/`;
    const names = [...this.#model.nodes.keys()].filter((other) => other !== '/' && other.startsWith(prefix));
    return names.map((other) => other.slice(prefix.length)).filter((name) => !name.includes('/'));
  }

  /** Recursive, of the whole tree: the only kind that a broker uses. */
  watch(_path: string, _options: { readonly recursive: boolean }, listener: WatchListener): { cancel(): void } {
    this.#watchers.push(listener);
    listener.onSnapshot(this.#model.snapshot(), this.#model.zxid);
    return {
      cancel: () => {
        this.#watchers = this.#watchers.filter((other) => other !== listener);
      },
    };
  }

  /** Holds back watch events, as a slow connection does, until `releaseWatch`. */
  holdWatch(): void {
    this.#held ??= [];
  }

  releaseWatch(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) event();
  }

  /** The connection was gone for so long that the history is too: a new snapshot comes. */
  resnapshot(): void {
    this.#held = undefined;
    for (const watcher of this.#watchers) watcher.onSnapshot(this.#model.snapshot(), this.#model.zxid);
  }

  deliver(changes: readonly WatchChange[], zxid: Zxid): void {
    for (const watcher of this.#watchers) {
      const event = (): void => watcher.onChanges(changes, zxid);
      if (this.#held === undefined) event();
      else this.#held.push(event);
    }
  }

  onState(listener: (state: SessionState) => void): void {
    this.#listeners.push(listener);
  }

  noticeExpiry(): void {
    this.state = 'expired';
    for (const listener of this.#listeners) listener('expired');
  }

  async close(): Promise<void> {
    if (!this.isLive) return;
    this.state = 'closed';
    this.#model.expire(this);
  }

  #refuseWhenOver(): void {
    if (!this.isLive) throw new CoordinatorError('session-expired', `${this.id} is over`);
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function newStat(zxid: Zxid, ephemeralOwner: string, dataLength: number): Stat {
  return {
    czxid: zxid,
    mzxid: zxid,
    pzxid: zxid,
    version: 0,
    cversion: 0,
    ephemeralOwner,
    numChildren: 0,
    dataLength,
    ctimeMs: 0,
    mtimeMs: 0,
  };
}
