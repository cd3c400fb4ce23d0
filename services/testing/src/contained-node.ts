import type { Runtime, Timer, Timers } from '@naru/runtime';
import { createNodeRuntime } from '@naru/runtime/node';
import { ContainedDisk } from './contained-disk.ts';
import { ContainedNetwork } from './contained-network.ts';

const inert: Timer = { cancel: () => {} };

/** Timers that all stop at once. */
class ContainedTimers implements Timers {
  readonly #timers: Timers;
  readonly #pending = new Set<Timer>();
  #isDead = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#start((fire) => this.#timers.after(delayMs, fire), callback);
  }

  nextTurn(callback: () => void): Timer {
    return this.#start((fire) => this.#timers.nextTurn(fire), callback);
  }

  kill(): void {
    this.#isDead = true;
    for (const timer of this.#pending) timer.cancel();
    this.#pending.clear();
  }

  #start(arm: (fire: () => void) => Timer, callback: () => void): Timer {
    if (this.#isDead) return inert;
    const timer: Timer = { cancel: () => this.#pending.delete(timer) && armed.cancel() };
    const armed = arm(() => {
      this.#pending.delete(timer);
      callback();
    });
    this.#pending.add(timer);
    return timer;
  }
}

/**
 * The world of one node that lives in the test's own process: the real one, which `kill` takes away all at once. What is left of the node then
 * is garbage without timers, sockets and files: for everybody else it is a process that was killed.
 */
export class ContainedNode {
  readonly runtime: Runtime;
  readonly network: ContainedNetwork;
  readonly #timers: ContainedTimers;
  readonly #disk: ContainedDisk;

  constructor() {
    const world = createNodeRuntime();
    this.network = new ContainedNetwork(world.network);
    this.#timers = new ContainedTimers(world.timers);
    this.#disk = new ContainedDisk(world.disk);
    this.runtime = { ...world, network: this.network, timers: this.#timers, disk: this.#disk.disk };
  }

  async kill(): Promise<void> {
    this.#timers.kill();
    await Promise.all([this.network.kill(), this.#disk.kill()]);
  }
}
