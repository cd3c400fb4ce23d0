import { assert } from '../assert.ts';
import type { Runtime } from '../runtime.ts';
import type { SimulatedDisk } from './disk.ts';
import type { EventLoop } from './event-loop.ts';
import type { PowerLossMode } from './file-content.ts';
import type { SimulatedNetwork } from './network.ts';
import { SimulatedClock, SimulatedProcess, SimulatedTimers } from './process.ts';
import { ProcessDisk } from './process-disk.ts';
import { ProcessStores } from './process-stores.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface PowerLoss {
  /** What becomes of unsynced writes and names; default `random`. */
  readonly unsynced?: PowerLossMode;
  /** The machine vanishes without a word: peers see no reset and connections to it time out, until it runs again. */
  readonly silent?: boolean;
}

/** A machine with one process on it. The machine, its disk and its clock's error stay; processes come and go. */
export class SimulatedNode {
  readonly name: string;
  readonly disk: SimulatedDisk;
  readonly #loop: EventLoop;
  readonly #network: SimulatedNetwork;
  readonly #random: SeededRandom;
  #process: SimulatedProcess;
  #runtime: Runtime;
  #lives = 0;
  #wallOffsetMs = 0;
  /** Milliseconds that its wall clock gains in each. */
  #wallDrift = 0;

  /** @internal Made by `Simulation.addNode`. */
  constructor(name: string, loop: EventLoop, network: SimulatedNetwork, disk: SimulatedDisk, random: SeededRandom) {
    this.name = name;
    this.disk = disk;
    this.#loop = loop;
    this.#network = network;
    this.#random = random;
    [this.#process, this.#runtime] = this.#start();
  }

  /** The world of the running process; a restart makes a new one. */
  get runtime(): Runtime {
    return this.#runtime;
  }

  get alive(): boolean {
    return this.#process.alive;
  }

  get paused(): boolean {
    return this.#process.paused;
  }

  /** How often the node was started. */
  get lives(): number {
    return this.#lives;
  }

  /** kill -9: nothing of the process runs again, its connections are reset, what it wrote stays in the page cache. */
  crash(): void {
    this.#end(false);
  }

  /** The machine's power goes: a crash, and the disk forgets what was not synced. Also after a `crash`. */
  losePower(options: PowerLoss = {}): void {
    const silent = options.silent ?? false;
    this.#end(silent);
    if (silent) this.#network.powerOff(this.name);
    this.disk.losePower(options.unsynced ?? 'random');
  }

  /** A new process on the surviving disk. */
  restart(): Runtime {
    assert(!this.alive, `${this.name} is running`);
    [this.#process, this.#runtime] = this.#start();
    this.#network.powerOn(this.name);
    return this.#runtime;
  }

  /** SIGSTOP: nothing of the process runs, its connections stay open, what comes due waits for `resume`. */
  pause(): void {
    this.#process.pause();
  }

  resume(): void {
    this.#process.resume();
  }

  /** Makes the wall clock wrong by so many milliseconds, from now on. The monotonic clock does not move. */
  setWallOffset(offsetMs: number): void {
    this.#wallOffsetMs = offsetMs;
  }

  /** The wall clock is fast by so many parts in a million, from the beginning on; negative: slow. The monotonic clock is right. */
  setWallDrift(partsPerMillion: number): void {
    this.#wallDrift = partsPerMillion / 1e6;
  }

  #end(silent: boolean): void {
    if (!this.#process.alive) return;
    this.#process.end();
    this.#network.abandon(this.#process, silent);
  }

  #start(): [SimulatedProcess, Runtime] {
    this.#lives++;
    const process = new SimulatedProcess(this.name, this.#loop);
    const runtime: Runtime = {
      clock: new SimulatedClock(
        this.#loop,
        this.#loop.nowMs,
        () => this.#wallOffsetMs + this.#wallDrift * this.#loop.nowMs,
      ),
      timers: new SimulatedTimers(process),
      random: this.#random.fork(`life-${this.#lives}`),
      disk: new ProcessDisk(this.disk, process),
      stores: new ProcessStores(this.disk, process),
      network: this.#network.networkOf(process),
    };
    return [process, runtime];
  }
}
