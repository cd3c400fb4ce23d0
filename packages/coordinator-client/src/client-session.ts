import { type Logger, silentLogger } from '@naru/observability';
import { createRpc, type Rpc, coordinator as wire } from '@naru/rpc';
import { formatAddress, type Runtime, sleep, type Timer } from '@naru/runtime';
import { ClientWatch } from './client-watch.ts';
import { type Link, openLink } from './link.ts';
import { PendingRequests } from './pending-requests.ts';
import { ServerList } from './server-list.ts';
import {
  CoordinatorError,
  type CoordinatorSession,
  type SessionOptions,
  type SessionState,
  type Stat,
  type WatchListener,
  type WriteOperation,
  type WriteResult,
  type Znode,
  type Zxid,
} from './session.ts';
import { errorOf, multiOf, operationBytes, writeResultOf, znodeOf } from './wire.ts';

export const defaultSessionTimeoutMs = 6_000;
/** A node that does not answer must not use up the session's time: the others are to be tried, too. */
const attemptMsMax = 2_000;
/** Between rounds over all servers; the first round after a break follows at once. */
const retryMsMin = 50;
const retryMsMax = 500;

/** The coordinator refuses a multi with more than 8 MiB of paths and data; one that is larger still would cost the stream. */
export const writeBytesMax = 12_582_912;

/** Opens a session; tries the servers until one serves it, `connectTimeoutMs` has passed or `signal` aborts. */
export async function openSession(
  runtime: Runtime,
  options: SessionOptions,
  logger: Logger = silentLogger,
): Promise<CoordinatorSession> {
  const session = new ClientSession(runtime, options, logger);
  await session.open();
  return session;
}

class ClientSession implements CoordinatorSession {
  readonly #runtime: Runtime;
  readonly #rpc: Rpc;
  readonly #logger: Logger;
  readonly #options: SessionOptions;
  readonly #servers: ServerList;
  readonly #pending = new PendingRequests();
  readonly #watches = new Map<number, ClientWatch>();
  readonly #stateListeners: ((state: SessionState) => void)[] = [];
  /** Aborts when the session is over, by whichever end. */
  readonly #over = new AbortController();
  #nextWatchId = 1;
  #state: SessionState = 'suspended';
  #id = '';
  #password: Uint8Array = new Uint8Array(0);
  #timeoutMs: number;
  #link: Link | undefined;
  /** The largest zxid that the coordinator spoke of; it must not go back (Z9). */
  #lastZxid: Zxid = 0;
  #lastHeardMs = 0;
  #pingTimer: Timer | undefined;
  #onClosed: (() => void) | undefined;

  constructor(runtime: Runtime, options: SessionOptions, logger: Logger) {
    this.#runtime = runtime;
    this.#rpc = createRpc(runtime);
    this.#logger = logger;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? defaultSessionTimeoutMs;
    this.#servers = new ServerList(options.servers, runtime.random);
  }

  get id(): string {
    return this.#id;
  }

  get state(): SessionState {
    return this.#state;
  }

  async open(): Promise<void> {
    const { connectTimeoutMs, signal } = this.#options;
    const giveUp = (): void => this.#over.abort(signal?.reason);
    const timer =
      connectTimeoutMs === undefined ? undefined : this.#runtime.timers.after(connectTimeoutMs, () => giveUp());
    signal?.addEventListener('abort', giveUp, { once: true });
    if (signal?.aborted) giveUp();
    const lastError = await this.#connect();
    timer?.cancel();
    signal?.removeEventListener('abort', giveUp);
    if (this.#state === 'connected') return;
    this.#enter('closed');
    if (signal?.aborted) throw signal.reason;
    const where = this.#options.servers.join(', ');
    const message = `no coordinator of ${where} served a session in ${connectTimeoutMs} ms: ${lastError?.message ?? 'no answer'}`;
    throw new CoordinatorError('connection-loss', message, -1, { cause: lastError });
  }

  async write(operations: readonly WriteOperation[]): Promise<WriteResult> {
    const bytes = operationBytes(operations);
    if (bytes > writeBytesMax) {
      throw new CoordinatorError(
        'limit-exceeded',
        `a write of ${bytes} bytes; at most ${writeBytesMax} (writeBytesMax)`,
      );
    }
    const result = await this.#ask('write', multiOf(operations), bytes);
    const error = errorOf(result);
    if (error !== undefined) throw error;
    return writeResultOf(result);
  }

  async getData(path: string): Promise<Znode | undefined> {
    const result = await this.#read({ $case: 'getData', value: { path } });
    return result && znodeOf({ path, data: result.data, stat: result.stat });
  }

  async exists(path: string): Promise<Stat | undefined> {
    return (await this.#read({ $case: 'exists', value: { path } }))?.stat;
  }

  async getChildren(path: string): Promise<readonly string[] | undefined> {
    return (await this.#read({ $case: 'getChildren', value: { path } }))?.children;
  }

  watch(path: string, { recursive }: { readonly recursive: boolean }, listener: WatchListener): { cancel(): void } {
    if (this.#isOver()) throw this.#overError();
    const watch = new ClientWatch(this.#nextWatchId, path, recursive, listener);
    this.#nextWatchId += 1;
    this.#watches.set(watch.id, watch);
    this.#link?.send({ $case: 'watch', value: watch.request() });
    return {
      cancel: () => {
        if (this.#watches.delete(watch.id)) this.#link?.send({ $case: 'unwatch', value: { watchId: watch.id } });
      },
    };
  }

  onState(listener: (state: SessionState) => void): void {
    this.#stateListeners.push(listener);
  }

  async close(): Promise<void> {
    if (this.#isOver()) return;
    const link = this.#link;
    if (link !== undefined) {
      // An answer that does not come must not hold up whoever closes: the coordinator ends the session after its grace.
      const answered = new Promise<void>((resolve) => {
        this.#onClosed = resolve;
      });
      const patience = new AbortController();
      link.send({ $case: 'close', value: {} });
      await Promise.race([answered, sleep(this.#runtime.timers, this.#timeoutMs / 3, patience.signal).catch(() => {})]);
      patience.abort();
    }
    this.#enter('closed');
    await link?.close();
  }

  // Requests

  async #read(body: NonNullable<wire.Operation['operation']>): Promise<wire.Result | undefined> {
    const result = await this.#ask('read', body, 256);
    const error = errorOf(result);
    if (error?.code === 'no-node') return undefined;
    if (error !== undefined) throw error;
    return result;
  }

  #ask(kind: 'write' | 'read', body: NonNullable<wire.Operation['operation']>, bytes: number): Promise<wire.Result> {
    if (this.#isOver()) return Promise.reject(this.#overError());
    const link = this.#link;
    const send = link && ((xid: number) => link.send({ $case: 'operation', value: { xid, operation: body } }));
    return this.#pending.add(kind, body, bytes, send);
  }

  // The link

  /** Tries until a link is attached or the session is over; returns the last failure. */
  async #connect(): Promise<Error | undefined> {
    let lastError: Error | undefined;
    for (let round = 0; !this.#over.signal.aborted; ) {
      lastError = (await this.#attempt()) ?? lastError;
      if (this.#link !== undefined || this.#isOver()) break;
      if (!this.#servers.roundIsOver()) continue;
      const waitMsMax = Math.min(retryMsMax, retryMsMin * 2 ** ++round);
      const waitMs = retryMsMin + this.#runtime.random.nextFloat() * (waitMsMax - retryMsMin);
      await sleep(this.#runtime.timers, waitMs, this.#over.signal).catch(() => {});
    }
    return lastError;
  }

  async #attempt(): Promise<Error | undefined> {
    const address = this.#servers.next();
    const connect: wire.Connect = {
      sessionId: this.#id,
      password: this.#password,
      timeoutMs: this.#timeoutMs,
      lastZxid: this.#lastZxid,
    };
    const timeoutMs = Math.min(attemptMsMax, Math.ceil(this.#timeoutMs / 3));
    const outcome = await openLink(this.#rpc, this.#runtime.timers, address, connect, timeoutMs);
    const server = formatAddress(address);
    if (this.#over.signal.aborted) {
      if (outcome.kind === 'connected') void outcome.link.close();
      return undefined;
    }
    switch (outcome.kind) {
      case 'connected':
        this.#attached(outcome.link, outcome.connected);
        this.#logger.debug({ server, session: this.#id, zxid: outcome.connected.zxid }, 'session attached');
        return undefined;
      case 'refused':
        return this.#refused(server, outcome.refused);
      case 'failed':
        this.#logger.debug({ server, reason: outcome.error.message }, 'coordinator did not answer');
        return new Error(`${server}: ${outcome.error.message}`, { cause: outcome.error });
    }
  }

  #refused(server: string, { reason, leaderAddress }: wire.Refused): Error {
    switch (reason) {
      case wire.Refused_Reason.REASON_SESSION_EXPIRED:
        this.#enter('expired');
        return new Error(`${server}: the session has expired`);
      case wire.Refused_Reason.REASON_NOT_LEADER:
        this.#servers.suggest(leaderAddress);
        return new Error(`${server} does not lead${leaderAddress === '' ? ' and knows no leader' : ''}`);
      case wire.Refused_Reason.REASON_BEHIND:
        this.#logger.warn({ server, lastZxid: this.#lastZxid }, 'coordinator is behind what this session has seen');
        return new Error(`${server} is behind zxid ${this.#lastZxid}`);
      default:
        this.#logger.warn({ server }, 'coordinator has too many sessions');
        return new Error(`${server} has too many sessions`);
    }
  }

  #attached(link: Link, { sessionId, password, timeoutMs, zxid }: wire.Connected): void {
    this.#id = sessionId;
    this.#password = new Uint8Array(password);
    this.#timeoutMs = timeoutMs;
    this.#lastZxid = Math.max(this.#lastZxid, zxid);
    this.#link = link;
    this.#servers.succeeded();
    link.handle({ onMessage: (message) => this.#onMessage(message), onBroken: (error) => this.#onBroken(error) });
    for (const watch of this.#watches.values()) link.send({ $case: 'watch', value: watch.request() });
    this.#pending.sendAll((xid, operation) => link.send({ $case: 'operation', value: { xid, operation } }));
    this.#lastHeardMs = this.#runtime.clock.monotonicMs();
    this.#schedulePing(link);
    this.#enter('connected');
  }

  #onMessage(message: NonNullable<wire.SessionResponse['message']>): void {
    this.#lastHeardMs = this.#runtime.clock.monotonicMs();
    switch (message.$case) {
      case 'result':
        this.#saw(message.value.zxid);
        this.#pending.settle(message.value);
        return;
      case 'pong':
        this.#saw(message.value.zxid);
        return;
      case 'watchSnapshot':
        if (message.value.done) this.#saw(message.value.zxid);
        this.#watches.get(message.value.watchId)?.onSnapshot(message.value);
        return;
      case 'watchChanges':
        this.#saw(message.value.zxid);
        this.#watches.get(message.value.watchId)?.onChanges(message.value);
        return;
      case 'watchFailed':
        this.#onWatchFailed(message.value);
        return;
      case 'closed':
        if (message.value.expired) this.#enter('expired');
        this.#onClosed?.();
        return;
      case 'connected':
      case 'refused':
        return;
    }
  }

  #onWatchFailed({ watchId, error, errorMessage }: wire.WatchFailed): void {
    const watch = this.#watches.get(watchId);
    this.#watches.delete(watchId);
    const failure = errorOf({ error, errorMessage, failedIndex: -1 });
    if (watch === undefined || failure === undefined) return;
    this.#logger.warn({ path: watch.path, reason: errorMessage }, 'watch refused');
    watch.listener.onFailed?.(failure);
  }

  #saw(zxid: Zxid): void {
    if (zxid > this.#lastZxid) this.#lastZxid = zxid;
  }

  #onBroken(error: Error): void {
    this.#link = undefined;
    this.#pingTimer?.cancel();
    if (this.#isOver()) return;
    this.#logger.info({ session: this.#id, reason: error.message }, 'connection to the coordinator is lost');
    for (const watch of this.#watches.values()) watch.onBroken(this.#lastZxid);
    this.#pending.onBroken(error);
    this.#enter('suspended');
    void this.#connect();
  }

  /** Two pings unanswered: the node or the way to it is dead, whatever the connection says. */
  #schedulePing(link: Link): void {
    const intervalMs = this.#timeoutMs / 3;
    this.#pingTimer = this.#runtime.timers.after(intervalMs, () => {
      if (this.#link !== link) return;
      if (this.#runtime.clock.monotonicMs() - this.#lastHeardMs >= 2 * intervalMs - 1) {
        link.broken(new CoordinatorError('connection-loss', `silence for ${Math.round(2 * intervalMs)} ms`));
        return;
      }
      link.send({ $case: 'ping', value: {} });
      this.#schedulePing(link);
    });
  }

  // States

  #isOver(): boolean {
    return this.#state === 'expired' || this.#state === 'closed';
  }

  #overError(): CoordinatorError {
    return new CoordinatorError(
      'session-expired',
      `session ${this.#id} ${this.#state === 'closed' ? 'was closed' : 'has expired'}`,
    );
  }

  #enter(state: SessionState): void {
    if (this.#state === state || this.#isOver()) return;
    this.#state = state;
    if (this.#isOver()) {
      this.#over.abort();
      this.#pingTimer?.cancel();
      this.#watches.clear();
      this.#pending.failAll(this.#overError());
      void this.#link?.close();
      this.#link = undefined;
    }
    for (const listener of this.#stateListeners) listener(state);
  }
}
