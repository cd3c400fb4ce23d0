import { RpcError, type RpcStream, type coordinator as wire } from '@naru/rpc';
import type { Random } from '@naru/runtime';
import type { ProposalOutcome, ReplicatedLog } from '../quorum/state-machine.ts';
import type { Command, Failure, Outcome, SessionId } from '../tree/command.ts';
import { limits } from '../tree/limits.ts';
import { pathFault } from '../tree/path.ts';
import { writeFault } from '../tree/tree.ts';
import type { TreeMachine } from '../tree/tree-machine.ts';
import type { ReadBarrier } from './read-barrier.ts';
import { RequestQueue, type Slot } from './request-queue.ts';
import type { SessionDirector, SessionHolder } from './session-director.ts';
import { WatchFeed } from './watch-feed.ts';
import {
  childrenResult,
  connected,
  failureResult,
  nodeResult,
  pong,
  type ReadRequest,
  type RefusalReason,
  type Response,
  refused,
  requestOf,
  sessionClosed,
  type WriteRequest,
  watchFailed,
  writeResult,
} from './wire.ts';

/** Requests of one stream that are not answered yet; past it the stream is not read until half of them are. */
const pendingRequestsMax = 4_096;
const passwordBytes = 16;

type Stream = RpcStream<wire.SessionResponse, wire.SessionRequest>;

/** What a stream needs of its node. */
export interface SessionServices {
  readonly log: ReplicatedLog;
  readonly machine: TreeMachine;
  readonly director: SessionDirector;
  readonly barrier: ReadBarrier;
  readonly random: Random;
}

/**
 * One client's stream on the leader. Writes go into the log as they come, one after the other without waiting; answers leave
 * in the order of the requests. What reads (get, exists, children, watch) takes the state when it is its turn: after every
 * write before it, and before any write after it, which is why a write behind an unanswered read waits to be proposed.
 */
export class SessionStream implements SessionHolder {
  readonly #stream: Stream;
  readonly #services: SessionServices;
  readonly #queue = new RequestQueue();
  readonly #feeds = new Map<number, WatchFeed>();
  #state: 'new' | 'connecting' | 'attached' | 'ended' = 'new';
  #session: SessionId = '';
  /** Reads and watches in the queue. */
  #readsWaiting = 0;
  #paused = false;
  /** A snapshot waits for the connection to drain. */
  #full = false;

  constructor(stream: Stream, services: SessionServices) {
    this.#stream = stream;
    this.#services = services;
    stream.handle({
      onMessage: (request) => this.#onMessage(request.message),
      onDrain: () => {
        this.#full = false;
        this.#pump();
      },
      onEnd: () => stream.end(),
      onClose: () => this.#release(),
    });
  }

  onExpired(): void {
    this.#finish(sessionClosed(true));
  }

  onSpared(): void {
    this.#pump();
  }

  onReplaced(reason: string): void {
    this.#fail(reason);
  }

  #onMessage(message: wire.SessionRequest['message']): void {
    if (this.#state === 'ended') return;
    if (message?.$case === 'connect' && this.#state === 'new') {
      this.#state = 'connecting';
      void this.#connect(message.value);
      return;
    }
    if (this.#state !== 'attached') {
      this.#stream.fail(new RpcError('failed-precondition', 'a session stream begins with one Connect'));
      return;
    }
    this.#services.director.touch(this.#session);
    this.#onRequest(message);
    this.#pump();
    if (this.#queue.length > pendingRequestsMax) this.#pause();
  }

  #onRequest(message: wire.SessionRequest['message']): void {
    switch (message?.$case) {
      case 'ping':
        this.#queue.push({ kind: 'pong' });
        return;
      case 'operation':
        this.#onOperation(message.value);
        return;
      case 'watch':
        this.#onWatch(message.value);
        return;
      case 'unwatch':
        this.#feeds.get(message.value.watchId)?.close();
        this.#feeds.delete(message.value.watchId);
        return;
      case 'close':
        this.#onCloseSession();
        return;
      case 'connect':
      case undefined:
        this.#stream.fail(new RpcError('invalid-argument', 'not a request of an attached session'));
    }
  }

  // Connecting

  async #connect(request: wire.Connect): Promise<void> {
    const status = this.#services.log.status();
    if (!status.serving) {
      this.#refuse('not-leader', status.leader === status.nodeId ? '' : status.leaderAddress);
      return;
    }
    if (request.sessionId === '') await this.#createSession(request);
    else await this.#attachSession(request);
  }

  async #createSession(request: wire.Connect): Promise<void> {
    const { director, random } = this.#services;
    const { timeoutMsMin, timeoutMsMax } = director.times;
    const timeoutMs = Math.min(timeoutMsMax, Math.max(timeoutMsMin, request.timeoutMs));
    const password = random.nextBytes(passwordBytes);
    const command: Command = { kind: 'create-session', timeMs: director.wallMs(), password, timeoutMs };
    const outcome = this.#outcomeOf(await director.propose(command));
    if (outcome === undefined) return;
    if (!outcome.ok) this.#refuse('too-many-sessions');
    else if (outcome.kind === 'session') {
      const gone = this.#state === 'ended';
      const serving = director.created(outcome.session, gone ? undefined : this);
      if (!gone) this.#attached(request, { ...outcome, password, serving });
    }
  }

  async #attachSession(request: wire.Connect): Promise<void> {
    const { director } = this.#services;
    const { sessionId, password } = request;
    director.attaching(sessionId);
    const command: Command = { kind: 'attach-session', timeMs: director.wallMs(), session: sessionId, password };
    const outcome = this.#outcomeOf(await director.propose(command));
    if (!outcome?.ok || outcome.kind !== 'session' || this.#state === 'ended') {
      director.attachFailed(sessionId);
      if (outcome?.ok === false) this.#refuse('session-expired');
      return;
    }
    this.#attached(request, { ...outcome, password, serving: director.attached(sessionId, this) });
  }

  #attached(
    request: wire.Connect,
    granted: {
      readonly session: SessionId;
      readonly password: Uint8Array;
      readonly timeoutMs: number;
      readonly serving: boolean;
    },
  ): void {
    this.#session = granted.session;
    const { zxid } = this.#services.machine.tree;
    if (!granted.serving) this.#fail('this node does not lead any more');
    // Z9, row 30. The attach went through this cluster's log, so only a client of another cluster can have seen more.
    else if (request.lastZxid > zxid) this.#refuse('behind');
    else {
      this.#state = 'attached';
      this.#stream.send(connected(granted.session, granted.password, granted.timeoutMs, zxid));
    }
  }

  #refuse(reason: RefusalReason, leaderAddress = ''): void {
    if (this.#state !== 'ended') this.#finish(refused(reason, leaderAddress));
  }

  // Requests

  #onOperation(operation: wire.Operation): void {
    const request = requestOf(operation.operation);
    if (request === undefined) this.#stream.fail(new RpcError('unimplemented', 'an operation of an unknown kind'));
    else if (request.kind === 'write') this.#onWrite(operation.xid, request);
    else this.#onRead(operation.xid, request);
  }

  #onWrite(xid: number, request: WriteRequest): void {
    const slot: Slot = { kind: 'write', propose: undefined, response: undefined };
    const fault = writeFault(request.steps);
    if (fault !== undefined) slot.response = this.#failure(xid, 'limit-exceeded', fault);
    else {
      const { director, machine } = this.#services;
      this.#proposeInOrder(slot, async () => {
        const command: Command = {
          kind: 'write',
          timeMs: director.wallMs(),
          session: this.#session,
          steps: request.steps,
        };
        const decided = await director.propose(command);
        const refusal = refusalOf(decided);
        if (decided.ok) slot.response = writeResult(xid, decided.index, decided.result as Outcome, request.multi);
        else if (refusal !== undefined) slot.response = failureResult(xid, machine.tree.zxid, refusal);
        else this.#fail('the outcome of a write is unknown: leadership was lost');
        this.#pump();
      });
    }
    this.#queue.push(slot);
  }

  #onCloseSession(): void {
    const { director } = this.#services;
    const slot: Slot = { kind: 'close', propose: undefined, response: undefined };
    this.#proposeInOrder(slot, async () => {
      const command: Command = { kind: 'close-session', timeMs: director.wallMs(), session: this.#session };
      const outcome = this.#outcomeOf(await director.propose(command));
      if (outcome === undefined) return;
      if (outcome.ok) director.closed(this.#session);
      slot.response = sessionClosed(!outcome.ok);
      this.#pump();
    });
    this.#queue.push(slot);
  }

  /** At once, unless a read before it has not taken the state yet. */
  #proposeInOrder(slot: Extract<Slot, { kind: 'write' | 'close' }>, propose: () => Promise<void>): void {
    if (this.#readsWaiting > 0) slot.propose = () => void propose();
    else void propose();
  }

  #onRead(xid: number, request: ReadRequest): void {
    const slot: Slot = { kind: 'read', xid, request, ready: false };
    this.#queue.push(slot);
    this.#awaitBarrier(slot);
  }

  #onWatch({ watchId, path, recursive, afterZxid }: wire.Watch): void {
    const fault = pathFault(path);
    if (fault !== undefined) this.#stream.send(watchFailed(watchId, 'invalid-path', fault));
    else if (this.#feeds.has(watchId)) {
      this.#stream.fail(new RpcError('invalid-argument', `watch ${watchId} exists already`));
    } else if (this.#feeds.size >= limits.watchesPerSessionMax) {
      const message = `the session has ${limits.watchesPerSessionMax} watches (watchesPerSessionMax)`;
      this.#stream.send(watchFailed(watchId, 'limit-exceeded', message));
    } else {
      const feed = new WatchFeed({ watchId, path, recursive, afterZxid }, this.#services.machine, this.#stream);
      this.#feeds.set(watchId, feed);
      const slot: Slot = { kind: 'watch', feed, ready: false };
      this.#queue.push(slot);
      this.#awaitBarrier(slot);
    }
  }

  #awaitBarrier(slot: Extract<Slot, { kind: 'read' | 'watch' }>): void {
    this.#readsWaiting += 1;
    this.#services.barrier.pass((outcome) => {
      slot.ready = outcome.ok;
      if (outcome.ok) this.#pump();
      else this.#fail('leadership could not be confirmed for a read');
    });
  }

  // Answers

  /** Answers what can be answered, in order. */
  #pump(): void {
    while (this.#state === 'attached' && !this.#services.director.isExpiring(this.#session)) {
      const slot = this.#queue.head;
      if (slot === undefined || !this.#answer(slot)) break;
      this.#queue.shift();
      if (slot.kind === 'read' || slot.kind === 'watch') {
        this.#readsWaiting -= 1;
        this.#proposeHeld();
      }
    }
    if (this.#paused && this.#queue.length < pendingRequestsMax / 2) this.#resume();
  }

  /** False: not yet. */
  #answer(slot: Slot): boolean {
    switch (slot.kind) {
      case 'pong':
        this.#stream.send(pong(this.#services.machine.tree.zxid));
        return true;
      case 'write':
        if (slot.response === undefined) return false;
        this.#stream.send(slot.response);
        return true;
      case 'close':
        if (slot.response === undefined) return false;
        this.#finish(slot.response);
        return true;
      case 'read':
        if (!slot.ready) return false;
        this.#stream.send(this.#read(slot.xid, slot.request));
        return true;
      case 'watch':
        if (!slot.ready || this.#full) return false;
        this.#full = !slot.feed.catchUp();
        return !this.#full;
    }
  }

  #read(xid: number, { kind, path }: ReadRequest): Response {
    const { tree } = this.#services.machine;
    const fault = pathFault(path);
    if (fault !== undefined) return this.#failure(xid, 'invalid-path', fault);
    const node = tree.get(path);
    if (node === undefined) return this.#failure(xid, 'no-node', `no znode ${path}`);
    if (kind === 'get-children') return childrenResult(xid, tree.zxid, tree.children(path) ?? [], node.stat);
    return nodeResult(xid, tree.zxid, node, kind === 'get-data');
  }

  /** The head read has taken the state: the writes behind it, up to the next read, may go. */
  #proposeHeld(): void {
    for (const slot of this.#queue) {
      if (slot.kind === 'read' || slot.kind === 'watch') return;
      if (slot.kind === 'pong') continue;
      const { propose } = slot;
      slot.propose = undefined;
      propose?.();
    }
  }

  #failure(xid: number, code: Failure['code'], message: string): Response {
    return failureResult(xid, this.#services.machine.tree.zxid, { ok: false, code, message, failedIndex: -1 });
  }

  /** The result of a proposal that concerns the session itself; without one the stream ends. */
  #outcomeOf(decided: ProposalOutcome): Outcome | undefined {
    if (decided.ok) return decided.result as Outcome;
    this.#fail(`the session's entry was not decided here: ${decided.reason}`);
    return undefined;
  }

  // The end

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#stream.pause();
  }

  #resume(): void {
    this.#paused = false;
    this.#stream.resume();
  }

  #finish(last: Response): void {
    if (this.#state === 'ended') return;
    this.#stream.send(last);
    this.#stream.end();
    this.#release();
  }

  #fail(reason: string): void {
    if (this.#state === 'ended') return;
    this.#stream.fail(new RpcError('unavailable', reason));
    this.#release();
  }

  #release(): void {
    this.#state = 'ended';
    this.#services.director.detached(this.#session, this);
    for (const feed of this.#feeds.values()) feed.close();
    this.#feeds.clear();
    this.#queue.clear();
  }
}

/** A proposal that a limit refused: nothing was written, and the client is told so. Undefined: the outcome is unknown. */
function refusalOf(decided: ProposalOutcome): Failure | undefined {
  if (decided.ok || (decided.reason !== 'too-large' && decided.reason !== 'overloaded')) return undefined;
  const message =
    decided.reason === 'too-large' ? 'the write is too large for a log entry' : 'too many writes wait in the log';
  return { ok: false, code: 'limit-exceeded', message, failedIndex: -1 };
}
