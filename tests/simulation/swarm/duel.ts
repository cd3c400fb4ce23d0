import type { Ballot, BallotObserver } from './ballots.ts';
import { type Action, bounce, coordinatorLeader, type Scene } from './fault-actions.ts';
import type { World } from './world.ts';

/** The first candidate of a term waits so long for a second one, virtual milliseconds: less than an election timeout. */
const rivalMsMax = 500;
/** A voter that bounced is back and connected after this. */
const voterBackMs = 120;
const duelMsMax = 3_000;

/**
 * Row 37 (Raft §5.2), two leaders of one term:
 *   1. the leader dies; two others become candidates of the same term, and the disk of the second is slow;
 *   2. the voters vote for the first, and answer; it leads, and they and its rival are cut from it;
 *   3. each voter bounces, and is back before the second candidate's own vote is on its disk;
 *   4. the second asks them for their votes in that term.
 */
export const bounceVoter: Action = (scene) => {
  const { world, lieInWait } = scene;
  const leader = coordinatorLeader(world);
  if (!bounce(scene, leader)) return false;
  const duel = new Duel(scene);
  world.ballots.observer = duel;
  lieInWait(duelMsMax, {
    isOver: () => duel.isOver,
    end: () => {
      duel.end();
      world.ballots.observer = undefined;
    },
  });
  return false;
};

class Duel implements BallotObserver {
  readonly #scene: Scene;
  readonly #world: World;
  #term = 0;
  #first = 0;
  #second = 0;
  #startFirst: () => void = () => {};
  #startSecond: () => void = () => {};
  #isStruck = false;
  isOver = false;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#world = scene.world;
  }

  writing(voter: number, { term, vote }: Ballot): Promise<void> | undefined {
    if (vote !== voter || this.#isStruck) return undefined;
    if (term > this.#term) {
      this.end();
      this.#term = term;
      this.#first = voter;
      this.#second = 0;
      return new Promise((resolve) => {
        this.#startFirst = resolve;
        this.#world.sim.at(rivalMsMax, resolve);
      });
    }
    if (term < this.#term || this.#second !== 0) return undefined;
    this.#second = voter;
    this.#startFirst();
    return new Promise((resolve) => {
      this.#startSecond = resolve;
    });
  }

  written(voter: number, { term, vote }: Ballot): void {
    if (this.#second === 0 || term !== this.#term || vote !== this.#first || voter === vote) return;
    const { sim, parameters } = this.#world;
    const [first, second, host] = [`c${this.#first}`, `c${this.#second}`, `c${voter}`];
    const { network } = sim;
    network.cut(first, host, { oneWay: true });
    network.cut(first, second);
    if (!this.#isStruck) {
      this.#isStruck = true;
      this.#scene.tell(`${first} and ${second} are candidates of term ${term}`);
      this.#scene.happened();
    }
    const answeredMs = 3 * parameters.networkDelay.meanMs;
    sim.at(answeredMs, () => {
      if (!this.#world.coordinators.has(voter)) return;
      this.#world.kill(host);
      this.#world.start(host);
      sim.at(voterBackMs, () => this.#startSecond());
      this.#scene.after(1_000, () => {
        network.heal(first, host, { oneWay: true });
        network.heal(first, second);
        this.isOver = true;
      });
    });
  }

  /** Nobody waits any more. */
  end(): void {
    this.#startFirst();
    this.#startSecond();
  }
}
