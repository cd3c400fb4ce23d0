import { assert } from '../assert.ts';
import { type DiskTimes, diskTimesDefault, SimulatedDisk } from './disk.ts';
import { EventLoop } from './event-loop.ts';
import { networkDelayDefault, SimulatedNetwork } from './network.ts';
import { SimulatedNode } from './node.ts';
import { type Delay, SeededRandom } from './seeded-random.ts';
import { Trace } from './trace.ts';

export interface SimulationOptions {
  /** The same seed and the same code give the same run, event for event. */
  readonly seed: number | string;
  /** One way between two hosts, unless `network.setDelay` says otherwise. */
  readonly networkDelay?: Delay;
  readonly diskTimes?: DiskTimes;
  /** The last lines of the trace that are kept for people; default 0. */
  readonly traceLinesMax?: number;
}

/** `complete` and `runUntil` give up after this much virtual time unless told otherwise. */
const limitMsDefault = 60_000;

/** The virtual time that was granted is over and what was waited for has not happened. */
export class SimulationTimeout extends Error {
  override readonly name = 'SimulationTimeout';
}

/** A world in which nothing happens but what the seed and the test decide. Make it with `createSimulation`. */
export class Simulation {
  readonly seed: number | string;
  /** For the decisions of fault scripts and workloads. */
  readonly random: SeededRandom;
  readonly network: SimulatedNetwork;
  readonly #root: SeededRandom;
  readonly #loop: EventLoop;
  readonly #trace: Trace;
  readonly #diskTimes: DiskTimes;
  readonly #nodes = new Map<string, SimulatedNode>();

  constructor(options: SimulationOptions) {
    this.seed = options.seed;
    this.#root = new SeededRandom(String(options.seed));
    this.random = this.#root.fork('script');
    this.#trace = new Trace(options.traceLinesMax ?? 0);
    this.#loop = new EventLoop(this.#trace);
    this.#diskTimes = options.diskTimes ?? diskTimesDefault;
    this.network = new SimulatedNetwork(
      this.#loop,
      this.#root.fork('network'),
      options.networkDelay ?? networkDelayDefault,
    );
  }

  /** A machine with a running process; `name` is its host name, too. */
  addNode(name: string): SimulatedNode {
    assert(!this.#nodes.has(name), `there is a node ${name} already`);
    const random = this.#root.fork(`node ${name}`);
    const disk = new SimulatedDisk(this.#loop, random.fork('disk'), this.#diskTimes);
    this.network.addHost(name);
    const node = new SimulatedNode(name, this.#loop, this.network, disk, random);
    this.#nodes.set(name, node);
    return node;
  }

  get nodes(): readonly SimulatedNode[] {
    return [...this.#nodes.values()];
  }

  /** Virtual milliseconds since the beginning. */
  get nowMs(): number {
    return this.#loop.nowMs;
  }

  /** Events that have happened. */
  get eventCount(): number {
    return this.#loop.eventCount;
  }

  /** Lets virtual time pass. Rejects with what a check or an event threw. */
  async runFor(durationMs: number): Promise<void> {
    await this.#loop.run(durationMs, () => false);
  }

  /** Runs until `predicate` is true, asked after every event. Fails with `SimulationTimeout` when `limitMs` have passed. */
  async runUntil(predicate: () => boolean, limitMs = limitMsDefault): Promise<void> {
    if (await this.#loop.run(limitMs, predicate)) return;
    throw new SimulationTimeout(`seed ${this.seed}: not within ${limitMs} ms of virtual time: ${predicate}`);
  }

  /** Runs until the promise settles and returns its value or throws its error. */
  async complete<Value>(promise: Promise<Value>, limitMs = limitMsDefault): Promise<Value> {
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    promise.then(settle, settle);
    if (await this.#loop.run(limitMs, () => settled)) return promise;
    throw new SimulationTimeout(`seed ${this.seed}: the promise did not settle within ${limitMs} ms of virtual time`);
  }

  /** A process ended during the last event: an error that reached nobody is perhaps its own, made after its end. */
  get hasGhost(): boolean {
    return this.#loop.hasGhost;
  }

  /** Does something to the world after `delayMs`; no node's crash prevents it. */
  at(delayMs: number, action: () => void): void {
    this.#loop.schedule(delayMs, undefined, action);
  }

  /**
   * Runs after every event, when all its promises are settled; what it throws ends the run. For invariants. `host`: the only machine whose
   * code ran; undefined when the script did something, to any of them.
   */
  afterEvent(check: (host: string | undefined) => void): void {
    this.#loop.afterEvent(check);
  }

  /** Adds a line to the trace. */
  trace(line: string): void {
    this.#trace.add(this.#loop.nowMs, line);
  }

  /** The fingerprint of the run so far: every event's time and order, and every traced line. */
  get traceHash(): string {
    return this.#trace.hash;
  }

  /** The last `traceLinesMax` lines. */
  get traceLines(): readonly string[] {
    return this.#trace.lines;
  }
}

export function createSimulation(options: SimulationOptions): Simulation {
  return new Simulation(options);
}
