import { assert } from '../assert.ts';
import { type EventOwner, EventQueue, type SimulatedEvent } from './event-queue.ts';
import type { Trace } from './trace.ts';

/** Virtual events for one trip through the real event loop. */
const eventsPerTrip = 64;

/**
 * What Node does between two immediates: it runs all ticks and microtasks, and tells of rejections that nobody handles. Just that separates two virtual
 * events; called by hand it spares an immediate for each of them, a twentieth of a run's time. Not documented (DEP0134); if it goes, `setImmediate` for every
 * event does the same.
 */
const { _tickCallback: settle } = process as unknown as { readonly _tickCallback: () => void };

/** Events of one moment. Code that always asks for another turn would otherwise hang the run. */
const eventsPerMomentMax = 1_000_000;

/** The grain of virtual time, a power of two: sums and differences of times are then exact. */
const ticksPerMs = 1_024;

/** 2026-01-01T00:00:00Z: some day, always the same. */
const wallStartMs = 1_767_225_600_000;

/**
 * Virtual time. An event runs, then every promise it settled, then the next event; time jumps from event to event and
 * nothing waits for the real clock.
 */
export class EventLoop {
  /** The true wall clock at the beginning, milliseconds since the epoch. */
  readonly wallStartMs = wallStartMs;
  readonly #queue = new EventQueue();
  readonly #trace: Trace;
  readonly #checks: ((host: string | undefined) => void)[] = [];
  /** Where the last event happened; undefined: it was the script's. */
  #lastHost: string | undefined;
  #nowMs = 0;
  #eventCount = 0;
  #eventsThisMoment = 0;
  #running = false;
  /** A process ended during the last event: what its code did after that, on the stack that was there, has no meaning. */
  #hasGhost = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  /** Milliseconds since the beginning: true time, which no node can see. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get eventCount(): number {
    return this.#eventCount;
  }

  schedule(delayMs: number, owner: EventOwner | undefined, run: () => void): SimulatedEvent {
    const ticks = Math.ceil(Math.max(0, delayMs) * ticksPerMs);
    return this.#queue.add(this.#nowMs + ticks / ticksPerMs, owner, run);
  }

  /** A process ends, within an event perhaps. */
  processEnded(): void {
    this.#hasGhost = true;
  }

  get hasGhost(): boolean {
    return this.#hasGhost;
  }

  /** Runs after every event, when its promises are settled; an error it throws ends the run. */
  afterEvent(check: (host: string | undefined) => void): void {
    this.#checks.push(check);
  }

  /** Ends the run under way with this error, or the next one. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** True as soon as `isDone` says so; false when `limitMs` of virtual time have passed. */
  run(limitMs: number, isDone: () => boolean): Promise<boolean> {
    assert(!this.#running, 'the simulation is running already');
    this.#running = true;
    const deadlineMs = this.#nowMs + limitMs;
    return new Promise((resolve, reject) => {
      let finished = false;
      const finish = (tell: () => void): void => {
        finished = true;
        this.#running = false;
        tell();
      };
      const step = (): void => {
        try {
          const done = this.#step(deadlineMs, isDone);
          if (done !== undefined) finish(() => resolve(done));
        } catch (error) {
          finish(() => reject(error));
        }
      };
      const trip = (): void => {
        try {
          for (let index = 0; index < eventsPerTrip && !finished; index++) {
            step();
            // What a tick throws belongs to nobody: it leaves this immediate as an uncaught exception, and Node puts its own stacks in order.
            if (!finished) settle();
          }
        } finally {
          if (!finished) setImmediate(trip);
        }
      };
      setImmediate(trip);
    });
  }

  /** Called when all microtasks of the event before have run. The answer ends the run. */
  #step(deadlineMs: number, isDone: () => boolean): boolean | undefined {
    for (const check of this.#checks) check(this.#lastHost);
    if (this.#failure) {
      const { error } = this.#failure;
      this.#failure = undefined;
      throw error;
    }
    if (isDone()) return true;
    for (;;) {
      const event = this.#queue.peek();
      if (event === undefined || event.timeMs > deadlineMs) {
        this.#nowMs = Math.max(this.#nowMs, deadlineMs);
        return false;
      }
      this.#queue.take();
      if (this.#happens(event)) return undefined;
    }
  }

  /** False when the event was cancelled, its owner is dead, or it has to wait: the next one can follow at once. */
  #happens(event: SimulatedEvent): boolean {
    const { run, owner } = event;
    if (run === undefined || owner?.alive === false) return false;
    if (owner?.paused) {
      owner.hold(event);
      return false;
    }
    this.#moveTo(event.timeMs);
    this.#eventCount++;
    this.#trace.mix(event.sequence);
    this.#trace.mix(event.timeMs * ticksPerMs);
    event.run = undefined;
    this.#lastHost = owner?.host;
    this.#hasGhost = false;
    try {
      run();
    } catch (error) {
      // A ghost's writes change nothing, so its own checks may well fail; nobody hears of it.
      if (!this.#hasGhost) throw error;
    }
    return true;
  }

  #moveTo(timeMs: number): void {
    if (timeMs > this.#nowMs) {
      this.#nowMs = timeMs;
      this.#eventsThisMoment = 0;
    }
    this.#eventsThisMoment++;
    assert(
      this.#eventsThisMoment <= eventsPerMomentMax,
      'virtual time stands still: something asks for turns without end',
    );
  }
}
