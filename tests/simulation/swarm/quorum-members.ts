import { changeMembership, type MembershipChangeKind } from '@naru/coordinator-client';
import { RpcError } from '@naru/rpc';
import { sleep } from '@naru/runtime';
import { coordinatorPort, peerPort, type World } from './world.ts';

const pauseMs = 200;

/**
 * Coordinators that leave the quorum and come back, one at a time: out, in as a learner, in as a voter (row 34). One that refuses what it finds on its disk comes back
 * with an empty one: it is out, so that nobody counts on what it has forgotten (rows 37, 57).
 */
export class QuorumMembers {
  readonly #world: World;
  /** Who is on its way. */
  #recycled: string | undefined;
  failure: unknown;

  constructor(world: World) {
    this.#world = world;
  }

  /** False: another one is on its way, or one may be lost, and those that are left would need this one. */
  recycle(id: number, outMs: number): boolean {
    if (this.#recycled !== undefined || !this.#canSpare(`c${id}`)) return false;
    this.#recycled = `c${id}`;
    this.#recycle(id, outMs)
      .catch((error: unknown) => {
        this.failure ??= error;
      })
      .finally(() => {
        this.#recycled = undefined;
      });
    return true;
  }

  /** Whether `host` may forget what it has synced: not while the others need it. */
  mayForget(host: string): boolean {
    return this.#recycled === undefined || this.#recycled === host;
  }

  /** Everybody votes again who has not refused its store, and nobody depends on who voted before. */
  get isComplete(): boolean {
    if (this.#recycled !== undefined) return false;
    const leader = this.#leader();
    if (leader === undefined || this.#world.coordinators.get(leader)?.status().isChanging) return false;
    return this.#world.coordinatorIds.every(
      (id) => this.#world.refused.has(`c${id}`) || this.#standing(leader, id) === 'voter',
    );
  }

  #canSpare(host: string): boolean {
    return [...this.#world.forgetful].every((other) => other === host);
  }

  async #recycle(id: number, outMs: number): Promise<void> {
    const { timers } = this.#world.node('admin').runtime;
    await this.#until(id, 'remove', 'gone');
    if (this.#world.refused.has(`c${id}`)) this.#world.replaceDisk(`c${id}`);
    await sleep(timers, outMs);
    await this.#until(id, 'add-learner', 'learner');
    await this.#until(id, 'promote', 'voter');
  }

  /** Asks again and again, whatever came of the attempt before: what counts is what the leader says. Who refuses its store does not come back. */
  async #until(id: number, change: MembershipChangeKind, wanted: 'gone' | 'learner' | 'voter'): Promise<void> {
    const { runtime } = this.#world.node('admin');
    while (wanted === 'gone' || !this.#world.refused.has(`c${id}`)) {
      const leader = this.#leader();
      if (leader !== undefined && this.#standing(leader, id) === wanted) return;
      const place = `c${id}`;
      const member = {
        id,
        peerAddress: `${place}:${peerPort}`,
        clientAddress: `${place}:${coordinatorPort}`,
        voter: change !== 'add-learner',
      };
      if (leader !== undefined) {
        await changeMembership(runtime, `c${leader}:${coordinatorPort}`, change, member).catch((error: unknown) => {
          if (!(error instanceof RpcError)) throw error;
        });
      }
      await sleep(runtime.timers, pauseMs);
    }
  }

  /** Not one that stood still while the others went on: it would tell what was. */
  #leader(): number | undefined {
    const statuses = [...this.#world.coordinators.values()].map((coordinator) => coordinator.status());
    const term = Math.max(...statuses.map((status) => status.term));
    return statuses.find((status) => status.role === 'leader' && status.term === term)?.nodeId;
  }

  #standing(leader: number, id: number): 'gone' | 'learner' | 'voter' {
    const member = this.#world.coordinators
      .get(leader)
      ?.status()
      .members.find((each) => each.id === id);
    if (member === undefined) return 'gone';
    return member.voter ? 'voter' : 'learner';
  }
}
