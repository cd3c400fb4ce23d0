import { silentLogger } from '@naru/observability';
import type { RpcError, RpcStream, StreamEvents, coordinator as wire } from '@naru/rpc';
import type { Runtime } from '@naru/runtime';
import { TreeMachine } from '../../tree/tree-machine.ts';
import { ReadBarrier } from '../read-barrier.ts';
import { SessionDirector } from '../session-director.ts';
import { type SessionServices, SessionStream } from '../session-stream.ts';
import { LocalLog } from './local-log.ts';

/** Time that stands still until the test moves it. */
export class ManualTime {
  nowMs = 0;
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];

  readonly runtime: Runtime = {
    clock: { monotonicMs: () => this.nowMs, wallMs: () => 1_000_000 + this.nowMs },
    timers: {
      after: (delayMs: number, run: () => void) => {
        const timer = { atMs: this.nowMs + delayMs, run };
        this.#timers.push(timer);
        return { cancel: () => this.#remove(timer) };
      },
    },
    random: { nextFloat: () => 0, nextInt: () => 0, nextBytes: (length: number) => new Uint8Array(length).fill(7) },
  } as unknown as Runtime;

  /** Runs every timer up to then in order, and what they settle. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const next = this.#timers.filter((timer) => timer.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#remove(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      await settled();
    }
    this.nowMs = untilMs;
    await settled();
  }

  /** The process did not run for so long: the clock went on, the timers are late. */
  async stall(ms: number): Promise<void> {
    this.nowMs += ms;
    await this.advance(0);
  }

  #remove(timer: { readonly atMs: number; readonly run: () => void }): void {
    this.#timers = this.#timers.filter((each) => each !== timer);
  }
}

/** Every promise that can settle now has. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await undefined;
}

type Request = NonNullable<wire.SessionRequest['message']>;
type Response = NonNullable<wire.SessionResponse['message']>;

/** A stream whose other end is the test. */
export class TestStream implements RpcStream<wire.SessionResponse, wire.SessionRequest> {
  readonly received: Response[] = [];
  pendingBytes = 0;
  paused = false;
  /** What `send` answers: false makes it a full connection. */
  flowing = true;
  ended: 'open' | 'ended' | RpcError | undefined = 'open';
  #events: StreamEvents<wire.SessionRequest> | undefined;

  handle(events: StreamEvents<wire.SessionRequest>): void {
    this.#events = events;
  }

  send({ message }: wire.SessionResponse): boolean {
    if (this.ended === 'open' && message !== undefined) this.received.push(message);
    return this.flowing;
  }

  end(): void {
    if (this.ended === 'open') this.ended = 'ended';
  }

  fail(error?: RpcError): void {
    if (this.ended !== 'open') return;
    this.ended = error;
    this.#events?.onClose(error);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** The client says something. */
  async say(...messages: Request[]): Promise<void> {
    for (const message of messages) this.#events?.onMessage({ message });
    await settled();
  }

  drain(): void {
    this.flowing = true;
    this.#events?.onDrain?.();
  }

  /** The connection breaks. */
  async break(): Promise<void> {
    this.ended = undefined;
    this.#events?.onClose(undefined);
    await settled();
  }

  /** `result 3`, `watchChanges`, …: what came, in short. */
  get cases(): string[] {
    return this.received.map((each) => (each.$case === 'result' ? `result ${each.value.xid}` : each.$case));
  }

  last<Case extends Response['$case']>(kind: Case): Extract<Response, { $case: Case }>['value'] | undefined {
    return this.received.findLast((each) => each.$case === kind)?.value as never;
  }
}

/** The listeners of a leading node over a log whose commits the test decides. */
export class LeaderNode {
  readonly time = new ManualTime();
  readonly machine = new TreeMachine();
  readonly log = new LocalLog(this.machine);
  readonly director = new SessionDirector(
    this.time.runtime,
    this.log,
    this.machine,
    { timeoutMsMin: 100, timeoutMsMax: 60_000, disconnectGraceMs: 1_000 },
    silentLogger,
  );
  readonly services: SessionServices = {
    log: this.log,
    machine: this.machine,
    director: this.director,
    barrier: new ReadBarrier(this.log),
    random: this.time.runtime.random,
  };

  constructor() {
    this.log.onRoleChange((status) => {
      if (status.serving) this.director.start(status.term);
      else this.director.stop('not the leader any more');
    });
    this.director.start(1);
  }

  stream(): TestStream {
    const stream = new TestStream();
    new SessionStream(stream, this.services);
    return stream;
  }

  /** A new session, or an old one attached again. */
  async connect(
    options: { readonly resume?: wire.Connected; readonly lastZxid?: number; readonly timeoutMs?: number } = {},
  ): Promise<TestStream> {
    const stream = this.stream();
    const { resume, lastZxid = 0, timeoutMs = 6_000 } = options;
    const { sessionId = '', password = new Uint8Array(0) } = resume ?? {};
    await stream.say({ $case: 'connect', value: { sessionId, password, timeoutMs, lastZxid } });
    return stream;
  }
}

export const ping: Request = { $case: 'ping', value: {} };

export function set(xid: number, path: string, text = ''): Request {
  return operation(xid, { $case: 'setData', value: { path, data: Buffer.from(text), version: -1 } });
}

export function create(xid: number, path: string, ephemeral = false): Request {
  return operation(xid, { $case: 'create', value: { path, data: new Uint8Array(0), ephemeral, sequential: false } });
}

export function get(xid: number, path: string): Request {
  return operation(xid, { $case: 'getData', value: { path } });
}

export function watch(watchId: number, path: string, afterZxid = 0): Request {
  return { $case: 'watch', value: { watchId, path, recursive: true, afterZxid } };
}

function operation(xid: number, body: NonNullable<wire.Operation['operation']>): Request {
  return { $case: 'operation', value: { xid, operation: body } };
}
