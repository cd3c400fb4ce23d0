import type { Broker } from '@naru/broker';
import type { Coordinator } from '@naru/coordinator';
import { require } from '../swarm/violation.ts';
import type { World } from '../swarm/world.ts';

interface Seen {
  zxid: number;
  commitIndex: number;
  term: number;
}

type Picture = NonNullable<Broker['publisher']['image']>;

/** Z1, Z4–Z7 and Z11 over the coordinators; Z9 and Z10 over what their watchers were told. */
export class CoordinatorChecker {
  readonly #world: World;
  readonly #leaders = new Map<number, number>();
  readonly #chains = new Map<number, number>();
  readonly #seen = new Map<number, Seen>();
  /** Zxid of each broker's picture, by incarnation of the process (Z9). */
  readonly #pictures = new Map<number, number>();
  highestTerm = 0;

  constructor(world: World) {
    this.#world = world;
  }

  ended(id: number): void {
    this.#seen.delete(id);
  }

  brokerEnded(id: number): void {
    this.#pictures.delete(id);
  }

  afterEvent(id: number, coordinator: Coordinator): void {
    const { zxid } = coordinator.tree();
    let seen = this.#seen.get(id);
    if (seen === undefined) {
      seen = { zxid: -1, commitIndex: -1, term: -1 };
      this.#seen.set(id, seen);
    }
    this.#checkRole(id, coordinator, seen);
    if (zxid !== seen.zxid) this.#checkApplied(id, coordinator, seen);
  }

  #checkApplied(id: number, coordinator: Coordinator, seen: Seen): void {
    const tree = coordinator.tree();
    const { zxid } = tree;
    require(zxid > seen.zxid, 'Z6', () => `c${id}: applied ${zxid} after ${seen.zxid}`);
    seen.zxid = zxid;
    const chain = coordinator.commandChain();
    const known = this.#chains.get(zxid);
    require(known === undefined || known === chain, 'Z4', () => `c${id}: another history up to ${zxid}`);
    this.#chains.set(zxid, chain);
    this.#world.control.look(tree);
  }

  #checkRole(id: number, coordinator: Coordinator, seen: Seen): void {
    const { role, term, commitIndex } = coordinator.standing();
    require(term >= seen.term, 'Z5', () => `c${id}: term ${term} after ${seen.term}`);
    require(commitIndex >= seen.commitIndex, 'Z6', () =>
      `c${id}: commit index ${commitIndex} after ${seen.commitIndex}`);
    seen.term = term;
    seen.commitIndex = commitIndex;
    if (role !== 'leader') return;
    const leader = this.#leaders.get(term);
    require(leader === undefined || leader === id, 'Z1', () => `term ${term} is led by c${leader} and c${id}`);
    this.#leaders.set(term, id);
    this.highestTerm = Math.max(this.highestTerm, term);
  }

  /** Z9, Z10: a broker's picture only moves forward, and two pictures of one version are the same. */
  brokerSees(id: number): void {
    const image = this.#world.brokers.get(id)?.publisher.image;
    if (image === undefined) return;
    const before = this.#pictures.get(id) ?? 0;
    if (image.zxid !== before) this.#checkPicture(id, image, before);
  }

  #checkPicture(id: number, image: Picture, before: number): void {
    require(image.zxid > before, 'Z9', () => `b${id}: its picture goes from ${before} to ${image.zxid}`);
    this.#pictures.set(id, image.zxid);
    for (const topic of image.topics.values()) {
      for (const [index, { state, stateVersion, stateZxid }] of topic.partitions.entries()) {
        if (state === undefined) continue;
        const committed = this.#world.control.stateOf(topic.name, index);
        if (committed === undefined || committed.zxid !== stateZxid) continue;
        require(committed.version === stateVersion &&
          committed.leader === state.leader &&
          committed.leaderEpoch === state.leaderEpoch &&
          committed.isr.length === state.isr.length, 'Z10', () =>
          `b${id}: told of ${topic.name}-${index} at zxid ${stateZxid} what was not written`);
      }
    }
  }

  /** Z7, Z11: at checkpoints, for it costs as much as a snapshot. */
  checkpoint(): void {
    const hashes = new Map<number, string>();
    for (const [id, coordinator] of this.#world.coordinators) {
      const { zxid, znodes, sessions } = coordinator.tree();
      const hash = coordinator.stateHash();
      const other = hashes.get(zxid);
      require(other === undefined || other === hash, 'Z7', () => `c${id}: another state at ${zxid}`);
      hashes.set(zxid, hash);
      for (const { path, ephemeralOwner } of znodes.values()) {
        require(ephemeralOwner === '' || sessions.has(ephemeralOwner), 'Z11', () =>
          `c${id}: ${path} outlives its session ${ephemeralOwner}`);
      }
    }
  }
}
