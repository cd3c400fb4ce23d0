import type { Clock, Timer, Timers } from '../clock.ts';
import type { EventLoop } from './event-loop.ts';
import type { EventOwner, SimulatedEvent } from './event-queue.ts';

/**
 * One life of a node, from its start to its crash. Whatever happens inside the node is an event that this process owns, so
 * that a crash ends all of it at once: code that was waiting for a timer, a disk or a peer never runs again.
 *
 * Code of a dead process can still be on the stack when a fault was injected from within it. It is a ghost then: its
 * calls change nothing and its promises never settle.
 */
export class SimulatedProcess implements EventOwner {
  /** The machine it runs on. */
  readonly host: string;
  readonly #loop: EventLoop;
  #alive = true;
  #paused = false;
  #held: SimulatedEvent[] = [];

  constructor(host: string, loop: EventLoop) {
    this.host = host;
    this.#loop = loop;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Runs `callback` as an event of this process. */
  after(delayMs: number, callback: () => void): SimulatedEvent {
    return this.#loop.schedule(delayMs, this, callback);
  }

  /** Resolves after `delayMs`; never, when the process ends before. */
  wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  end(): void {
    this.#alive = false;
    this.#held = [];
    this.#loop.processEnded();
  }

  hold(event: SimulatedEvent): void {
    this.#held.push(event);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const held = this.#held;
    this.#held = [];
    for (const event of held) {
      if (event.run) this.#requeue(event);
    }
  }

  /** The owner of the timer may still cancel it by the old event. */
  #requeue(event: SimulatedEvent): void {
    this.after(0, () => {
      const run = event.run;
      event.run = undefined;
      run?.();
    });
  }
}

export class SimulatedTimers implements Timers {
  readonly #process: SimulatedProcess;

  constructor(process: SimulatedProcess) {
    this.#process = process;
  }

  after(delayMs: number, callback: () => void): Timer {
    return new SimulatedTimer(this.#process.after(delayMs, callback));
  }

  nextTurn(callback: () => void): Timer {
    return new SimulatedTimer(this.#process.after(0, callback));
  }
}

class SimulatedTimer implements Timer {
  readonly #event: SimulatedEvent;

  constructor(event: SimulatedEvent) {
    this.#event = event;
  }

  cancel(): void {
    this.#event.run = undefined;
  }
}

/** A node's clocks. The wall clock can be wrong and can jump, also while the node is down; the monotonic one starts anew with the machine. */
export class SimulatedClock implements Clock {
  readonly #loop: EventLoop;
  readonly #startedMs: number;
  readonly #wallOffsetMs: () => number;

  constructor(loop: EventLoop, startedMs: number, wallOffsetMs: () => number) {
    this.#loop = loop;
    this.#startedMs = startedMs;
    this.#wallOffsetMs = wallOffsetMs;
  }

  monotonicMs(): number {
    return this.#loop.nowMs - this.#startedMs;
  }

  wallMs(): number {
    return Math.floor(this.#loop.wallStartMs + this.#loop.nowMs + this.#wallOffsetMs());
  }
}
