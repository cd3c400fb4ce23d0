import { changeMembership, type MembershipChangeKind } from '@naru/coordinator-client';
import { RpcError } from '@naru/rpc';
import { sleep } from '@naru/runtime';
import { coordinatorPort, peerPort, type World } from './world.ts';

const pauseMs = 200;

/** Coordinators that leave the quorum and come back, one at a time: out, in as a learner, in as a voter (row 34). */
export class QuorumMembers {
  readonly #world: World;
  #isBusy = false;
  failure: unknown;

  constructor(world: World) {
    this.#world = world;
  }

  /** False: another one is on its way. */
  recycle(id: number, outMs: number): boolean {
    if (this.#isBusy) return false;
    this.#isBusy = true;
    this.#recycle(id, outMs)
      .catch((error: unknown) => {
        this.failure ??= error;
      })
      .finally(() => {
        this.#isBusy = false;
      });
    return true;
  }

  /** Everybody votes again, and nobody depends on who voted before. */
  get isComplete(): boolean {
    if (this.#isBusy) return false;
    const leader = this.#leader();
    if (leader !== undefined && this.#world.coordinators.get(leader)?.status().isChanging) return false;
    return leader !== undefined && this.#world.coordinatorIds.every((id) => this.#standing(leader, id) === 'voter');
  }

  async #recycle(id: number, outMs: number): Promise<void> {
    const { timers } = this.#world.node('admin').runtime;
    await this.#until(id, 'remove', 'gone');
    await sleep(timers, outMs);
    await this.#until(id, 'add-learner', 'learner');
    await this.#until(id, 'promote', 'voter');
  }

  /** Asks again and again, whatever came of the attempt before: what counts is what the leader says. */
  async #until(id: number, change: MembershipChangeKind, wanted: 'gone' | 'learner' | 'voter'): Promise<void> {
    const { runtime } = this.#world.node('admin');
    for (;;) {
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

  #leader(): number | undefined {
    let found: { id: number; term: number } | undefined;
    for (const [id, coordinator] of this.#world.coordinators) {
      const { role, term } = coordinator.status();
      if (role === 'leader' && term > (found?.term ?? -1)) found = { id, term };
    }
    return found?.id;
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
