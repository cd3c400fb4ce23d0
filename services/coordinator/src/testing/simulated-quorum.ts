import { type CoordinatorSession, openSession, type SessionOptions } from '@naru/coordinator-client';
import { assert } from '@naru/runtime';
import { createSimulation, type PowerLoss, type SimulatedNode, type Simulation } from '@naru/runtime/simulated';
import { type Coordinator, createCoordinator } from '../coordinator.ts';
import { parseCoordinatorConfig } from '../coordinator-config.ts';

export interface SimulatedQuorumOptions {
  readonly seed: number | string;
  /** Default 3. */
  readonly nodes?: number;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly traceLinesMax?: number;
}

/** A quorum of real coordinators in a simulated world, with faults by name. Node n is the host `cN`. */
export class SimulatedQuorum {
  readonly sim: Simulation;
  readonly #options: SimulatedQuorumOptions;
  readonly #hosts = new Map<number, SimulatedNode>();
  readonly #running = new Map<number, Coordinator>();
  readonly #failures: Error[] = [];

  private constructor(options: SimulatedQuorumOptions) {
    this.#options = options;
    this.sim = createSimulation({ seed: options.seed, traceLinesMax: options.traceLinesMax ?? 0 });
    for (const id of this.ids) this.#hosts.set(id, this.sim.addNode(`c${id}`));
  }

  /** All nodes run and one of them leads. */
  static async start(options: SimulatedQuorumOptions): Promise<SimulatedQuorum> {
    const quorum = new SimulatedQuorum(options);
    await quorum.sim.complete(Promise.all(quorum.ids.map((id) => quorum.#open(id))));
    await quorum.untilLeader();
    return quorum;
  }

  get ids(): readonly number[] {
    return Array.from({ length: this.#options.nodes ?? 3 }, (_, index) => index + 1);
  }

  get servers(): readonly string[] {
    return this.ids.map((id) => `c${id}:2181`);
  }

  host(id: number): SimulatedNode {
    const host = this.#hosts.get(id);
    assert(host, `there is no node ${id}`);
    return host;
  }

  coordinator(id: number): Coordinator | undefined {
    return this.#running.get(id);
  }

  get coordinators(): readonly Coordinator[] {
    return [...this.#running.values()];
  }

  /** The leader of the highest term among those that run, 0: none. */
  get leader(): number {
    let found = { id: 0, term: -1 };
    for (const [id, coordinator] of this.#running) {
      const { role, term } = coordinator.status();
      if (role === 'leader' && term > found.term) found = { id, term };
    }
    return found.id;
  }

  async untilLeader(except = 0): Promise<number> {
    await this.sim.runUntil(() => this.leader !== 0 && this.leader !== except);
    return this.leader;
  }

  /** kill -9. */
  crash(id: number): void {
    this.host(id).crash();
    this.#running.delete(id);
  }

  /** An orderly end. */
  async stop(id: number): Promise<void> {
    const coordinator = this.#running.get(id);
    this.#running.delete(id);
    await coordinator?.close();
  }

  losePower(id: number, options?: PowerLoss): void {
    this.host(id).losePower(options);
    this.#running.delete(id);
  }

  async restart(id: number): Promise<void> {
    this.host(id).restart();
    await this.sim.complete(this.#open(id));
  }

  /** The same without waiting, for scripts of faults. */
  restartSoon(id: number): void {
    if (this.host(id).alive) return;
    this.host(id).restart();
    this.#open(id).catch((error) => this.#failures.push(error));
  }

  /** One more machine, outside the quorum, waiting to be added to it. */
  async join(id: number): Promise<void> {
    this.#hosts.set(id, this.sim.addNode(`c${id}`));
    await this.sim.complete(this.#open(id, { join: true }));
  }

  /** A client's machine. */
  addClient(name: string): SimulatedNode {
    return this.sim.addNode(name);
  }

  open(client: SimulatedNode, options: Partial<SessionOptions> = {}): Promise<CoordinatorSession> {
    return this.sim.complete(openSession(client.runtime, { servers: this.servers, ...options }));
  }

  /** Waits until all running nodes have applied the same, then compares them (Z4, Z7). */
  async expectEqualStates(): Promise<void> {
    const applied = (): number[] => this.coordinators.map((each) => each.status().appliedZxid);
    await this.sim.runUntil(() => new Set(applied()).size === 1);
    const states = new Set(this.coordinators.map((each) => `${each.commandChain()} ${each.stateHash()}`));
    assert(states.size === 1, `seed ${this.#options.seed}: the states differ at one index (Z7)`);
    assert(this.#failures.length === 0, `seed ${this.#options.seed}: a node failed: ${this.#failures[0]?.message}`);
  }

  async #open(id: number, overrides: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const config = parseCoordinatorConfig({
      'node.id': id,
      'data.dir': 'data',
      'listen.host': `c${id}`,
      members: this.ids.map((each) => `${each}@c${each}:2888:2181`),
      ...this.#options.config,
      ...overrides,
    });
    const coordinator = await createCoordinator(this.host(id).runtime, config);
    coordinator.onFailure((error) => this.#failures.push(error));
    this.#running.set(id, coordinator);
  }
}
