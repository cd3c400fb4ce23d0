import { CoordinatorError, type CoordinatorSession, openSession } from '@naru/coordinator-client';
import { sleep } from '@naru/runtime';
import type { SeededRandom } from '@naru/runtime/simulated';
import { require } from './violation.ts';
import { coordinatorPort, type World } from './world.ts';

const paths = ['/register-0', '/register-1'];
const pauseMsMax = 300;

/**
 * Z8, Z9, Z12: sessions of clients that read and write two znodes. Every write is a compare-and-set and every state of a znode has a zxid of its own, so that
 * linearizability is an order of numbers: what begins after another was answered sees at least its zxid, and no zxid is written twice.
 */
export class Registers {
  readonly #world: World;
  /** The largest zxid that was answered, by path. */
  readonly #latest = new Map<string, number>();
  readonly #written = new Set<string>();
  /** When the last operation that was answered had been sent, by session. */
  readonly #touchedMs = new Map<string, number>();
  #isRunning = true;
  answered = 0;
  failure: unknown;

  constructor(world: World) {
    this.#world = world;
  }

  start(): void {
    for (const host of ['admin', 'p1']) {
      this.#live(host).catch((error: unknown) => {
        this.failure ??= error;
      });
    }
  }

  stop(): void {
    this.#isRunning = false;
  }

  /**
   * Z12: a session that is gone although its client was answered a moment ago. `sessions`: those that the newest state has. A stream that breaks shortens
   * the time to `session.disconnect.grace.ms`, and whether one broke the client cannot know.
   */
  checkSessions(sessions: ReadonlyMap<string, unknown>): void {
    for (const [id, touchedMs] of this.#touchedMs) {
      if (sessions.has(id)) continue;
      this.#touchedMs.delete(id);
      const silentMs = this.#world.sim.nowMs - touchedMs;
      require(silentMs >= this.#graceMs, 'Z12', () =>
        `session ${id} is gone ${silentMs.toFixed(0)} ms after its last answer; the least is ${this.#graceMs} ms`);
    }
  }

  get #timeoutMs(): number {
    return Number(this.#world.parameters.brokerSettings['session.timeout.ms']);
  }

  get #graceMs(): number {
    return Math.min(this.#timeoutMs, Number(this.#world.parameters.coordinatorSettings['session.disconnect.grace.ms']));
  }

  async #live(host: string): Promise<void> {
    const { runtime } = this.#world.node(host);
    const random = this.#world.sim.random.fork(`registers of ${host}`);
    const servers = this.#world.coordinatorIds.map((id) => `c${id}:${coordinatorPort}`);
    while (this.#isRunning) {
      try {
        const session = await openSession(runtime, { servers, timeoutMs: this.#timeoutMs });
        while (this.#isRunning && session.state !== 'expired') {
          await this.#operate(session, random);
          await sleep(runtime.timers, random.nextInt(pauseMsMax));
        }
      } catch (error) {
        if (!(error instanceof CoordinatorError)) throw error;
        await sleep(runtime.timers, pauseMsMax);
      }
    }
  }

  async #operate(session: CoordinatorSession, random: SeededRandom): Promise<void> {
    const { sim } = this.#world;
    const path = paths[random.nextInt(paths.length)] as string;
    const sentMs = sim.nowMs;
    const { id } = session;
    const before = this.#latest.get(path) ?? 0;
    const node = await session.getData(path);
    this.#told(id, sentMs);
    const seen = node?.stat.mzxid ?? 0;
    require(seen >= before, 'Z8', () => `${path}: zxid ${seen} is read after ${before} had been answered`);
    this.#answered(path, seen);
    if (random.chance(0.5)) return;
    const data = Buffer.from(`${sentMs}`);
    const askedMs = sim.nowMs;
    const { zxid } = await session.write([
      node === undefined
        ? { kind: 'create', path, data }
        : { kind: 'set-data', path, data, version: node.stat.version },
    ]);
    this.#told(id, askedMs);
    require(zxid > seen, 'Z8', () => `${path}: written at ${zxid} upon what was read at ${seen}`);
    const name = `${path} after ${node?.stat.version}`;
    require(!this.#written.has(name), 'Z8', () => `${name} was written twice`);
    this.#written.add(name);
    this.#answered(path, zxid);
  }

  #told(id: string, sentMs: number): void {
    this.answered++;
    this.#touchedMs.set(id, Math.max(sentMs, this.#touchedMs.get(id) ?? 0));
  }

  #answered(path: string, zxid: number): void {
    this.#latest.set(path, Math.max(zxid, this.#latest.get(path) ?? 0));
  }
}
