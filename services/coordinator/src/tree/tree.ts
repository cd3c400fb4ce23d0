import { assert } from '@naru/runtime';
import type { Applied, Command, Failure, SessionId, Stat, WriteStep, Zxid } from './command.ts';
import { limits } from './limits.ts';
import { isWithin } from './path.ts';
import { newSession, type Session, type Sessions, sessionIdOf } from './sessions.ts';
import { SnapshotPass } from './snapshot-pass.ts';
import { Transaction, type Znodes } from './transaction.ts';
import { newZnode, statOf, type Znode } from './znode.ts';

/** A znode as a reader sees it. */
export interface ZnodeView {
  readonly path: string;
  readonly data: Uint8Array;
  readonly stat: Stat;
}

/** The position of a command in the log. */
export interface LogPosition {
  readonly zxid: Zxid;
  readonly term: number;
}

/**
 * The znodes and the sessions: everything that the log makes. A pure state machine; the same commands give the same state.
 *
 * What holds after every command: an ephemeral znode exists exactly while its session does (Z11); every znode but `/` has a
 * persistent parent; a refused command changed nothing.
 */
export class Tree {
  readonly znodes: Znodes = new Map();
  readonly sessions: Sessions = new Map();
  #zxid: Zxid = 0;
  /** Snapshots that are being written. */
  readonly #passes = new Set<SnapshotPass>();

  constructor() {
    this.znodes.set('/', newZnode('/', new Uint8Array(0), 0, 0, ''));
  }

  /** The last command that was applied. */
  get zxid(): Zxid {
    return this.#zxid;
  }

  apply(position: LogPosition, command: Command): Applied {
    this.advanceTo(position.zxid);
    switch (command.kind) {
      case 'create-session':
        return this.#createSession(command);
      case 'attach-session':
        return this.#attachSession(command);
      case 'close-session':
        return this.#closeSession(command);
      case 'expire-session':
        return this.#expireSession(position, command);
      case 'write':
        return this.#write(command);
    }
  }

  /** Zxids grow with gaps: not every log entry is a command. */
  advanceTo(zxid: Zxid): void {
    assert(zxid > this.#zxid, `zxid ${zxid} after ${this.#zxid}`);
    this.#zxid = zxid;
  }

  /** The state as it is now; whoever asks for it releases it. */
  beginSnapshot(commandChain: number): SnapshotPass {
    const pass = new SnapshotPass(this, commandChain, (released) => this.#passes.delete(released));
    this.#passes.add(pass);
    return pass;
  }

  /** Told by a transaction before it changes a znode in place or takes it away. */
  beforeChange(znode: Znode): void {
    for (const pass of this.#passes) pass.beforeChange(znode);
  }

  get(path: string): ZnodeView | undefined {
    const node = this.znodes.get(path);
    return node && { path, data: node.data, stat: statOf(node) };
  }

  /** Names, ascending; undefined when there is no such znode. */
  children(path: string): readonly string[] | undefined {
    const node = this.znodes.get(path);
    return node && [...(node.children ?? [])].sort();
  }

  /** What a watch covers now: the znode and, with `recursive`, all below it, paths ascending. */
  subtree(path: string, recursive: boolean): readonly ZnodeView[] {
    if (!recursive) return [this.get(path) ?? []].flat();
    const paths = path === '/' ? [...this.znodes.keys()] : this.#pathsBelow(path);
    return paths.sort().map((each) => this.get(each) as ZnodeView);
  }

  #pathsBelow(path: string): string[] {
    const paths: string[] = [];
    const waiting = this.znodes.has(path) ? [path] : [];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      assert(isWithin(next, path), `${next} is not below ${path}`);
      paths.push(next);
      for (const name of this.znodes.get(next)?.children ?? []) waiting.push(`${next}/${name}`);
    }
    return paths;
  }

  #createSession(command: Extract<Command, { kind: 'create-session' }>): Applied {
    if (this.sessions.size >= limits.sessionsMax) {
      return refused({
        ok: false,
        code: 'limit-exceeded',
        message: `${limits.sessionsMax} sessions (sessionsMax)`,
        failedIndex: -1,
      });
    }
    const id = sessionIdOf(this.#zxid);
    this.sessions.set(id, newSession(id, command.password, command.timeoutMs, 0));
    return { outcome: { ok: true, kind: 'session', session: id, timeoutMs: command.timeoutMs }, changes: [] };
  }

  #attachSession(command: Extract<Command, { kind: 'attach-session' }>): Applied {
    const session = this.sessions.get(command.session);
    if (session === undefined || Buffer.compare(session.password, command.password) !== 0) {
      return refused(expired(command.session));
    }
    session.touches += 1;
    return { outcome: { ok: true, kind: 'session', session: session.id, timeoutMs: session.timeoutMs }, changes: [] };
  }

  #closeSession(command: Extract<Command, { kind: 'close-session' }>): Applied {
    const session = this.sessions.get(command.session);
    return session === undefined ? refused(expired(command.session)) : this.#end(session, command.timeMs);
  }

  /** Rows 27, Z12: only by the leader that saw the silence, in its own term, and only when nobody has attached since. */
  #expireSession(position: LogPosition, command: Extract<Command, { kind: 'expire-session' }>): Applied {
    const session = this.sessions.get(command.session);
    if (session === undefined) return refused(expired(command.session));
    if (command.term !== position.term || command.touches !== session.touches) {
      return { outcome: { ok: true, kind: 'ignored' }, changes: [] };
    }
    return this.#end(session, command.timeMs);
  }

  #end(session: Session, timeMs: number): Applied {
    const transaction = new Transaction(this, this.#zxid, timeMs);
    transaction.removeEphemerals(session);
    this.sessions.delete(session.id);
    return {
      outcome: { ok: true, kind: 'session', session: session.id, timeoutMs: session.timeoutMs },
      changes: transaction.changes,
    };
  }

  #write(command: Extract<Command, { kind: 'write' }>): Applied {
    const session = this.sessions.get(command.session);
    if (session === undefined) return refused(expired(command.session));
    const limit = writeFault(command.steps);
    if (limit !== undefined) return refused({ ok: false, code: 'limit-exceeded', message: limit, failedIndex: -1 });
    const transaction = new Transaction(this, this.#zxid, command.timeMs);
    const results = transaction.run(command.steps, session);
    if ('code' in results) return refused(results);
    return { outcome: { ok: true, kind: 'write', results }, changes: transaction.changes };
  }
}

/** Why a write is too large to be logged at all; checked before it is proposed, and once more where it is applied. */
export function writeFault(steps: readonly WriteStep[]): string | undefined {
  if (steps.length > limits.operationsPerWriteMax) {
    return `a write of more than ${limits.operationsPerWriteMax} operations (operationsPerWriteMax)`;
  }
  let bytes = 0;
  for (const step of steps) bytes += step.path.length + ('data' in step ? step.data.length : 0);
  return bytes > limits.bytesPerWriteMax
    ? `a write of more than ${limits.bytesPerWriteMax} bytes (bytesPerWriteMax)`
    : undefined;
}

function expired(session: SessionId): Failure {
  return { ok: false, code: 'session-expired', message: `session ${session} has ended`, failedIndex: -1 };
}

function refused(outcome: Failure): Applied {
  return { outcome, changes: [] };
}
