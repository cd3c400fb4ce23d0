import { ambushes } from './ambushes.ts';
import { type AdminFaults, type Ambush, actions } from './fault-actions.ts';
import { FaultAtlas } from './fault-atlas.ts';
import type { GroupMembers } from './group-members.ts';
import { pick } from './parameters.ts';
import type { Placement } from './placement.ts';
import { QuorumMembers } from './quorum-members.ts';
import type { Fault, FaultKind } from './schedule.ts';
import type { Story } from './story.ts';
import type { World } from './world.ts';

const allActions = { ...actions, ...ambushes };

/** Carries a schedule out. */
export class FaultScript {
  readonly #world: World;
  readonly #story: Story;
  readonly #admin: AdminFaults;
  readonly #group: GroupMembers | undefined;
  readonly #placement: Placement;
  readonly members: QuorumMembers;
  readonly atlas: FaultAtlas;
  readonly counts = new Map<FaultKind, number>();
  /** One of a kind at a time: two would spoil each other's moment. */
  readonly #ambushes = new Map<FaultKind, Ambush>();
  #healed = false;

  constructor(
    world: World,
    story: Story,
    asked: { readonly admin: AdminFaults; readonly placement: Placement; readonly group: GroupMembers | undefined },
  ) {
    this.#world = world;
    this.#story = story;
    this.#admin = asked.admin;
    this.#placement = asked.placement;
    this.#group = asked.group;
    this.members = new QuorumMembers(world);
    this.atlas = new FaultAtlas(pick(world.brokerIds, world.sim.random.fork('atlas')));
  }

  schedule(faults: readonly Fault[]): void {
    if (faults.some(({ kind }) => kind in ambushes)) this.#world.sim.afterEvent((host) => this.#lookOut(host));
    for (const fault of faults) this.#world.sim.at(fault.atMs, () => this.#strike(fault));
  }

  /** Ends all faults. Nodes that are down stay down. */
  heal(): void {
    for (const [kind, ambush] of this.#ambushes) this.#leave(kind, ambush);
    this.#healed = true;
    const { sim, crashPoints, parameters } = this.#world;
    crashPoints.disarmAll();
    sim.network.healAll();
    this.#world.restoreDisks();
    for (const node of sim.nodes) {
      if (node.paused) node.resume();
      node.disk.fillUpAfter(Number.POSITIVE_INFINITY);
      node.disk.stopFailingReads();
      for (const other of sim.nodes) {
        if (other !== node) sim.network.setDelay(node.name, other.name, parameters.networkDelay, { oneWay: true });
      }
    }
  }

  #lookOut(host: string | undefined): void {
    for (const [kind, ambush] of this.#ambushes) if (ambush.isOver(host)) this.#leave(kind, ambush);
  }

  #leave(kind: FaultKind, ambush: Ambush): void {
    if (this.#ambushes.get(kind) !== ambush) return;
    this.#ambushes.delete(kind);
    ambush.end();
  }

  #strike({ id, kind, durationMs }: Fault): void {
    if (this.#healed || this.#ambushes.has(kind)) return;
    const { sim } = this.#world;
    const happened = (): void => {
      sim.trace(`fault ${id} ${kind}`);
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    };
    const struck = allActions[kind]({
      world: this.#world,
      random: sim.random.fork(`fault ${id}`),
      durationMs,
      atlas: this.atlas,
      admin: this.#admin,
      placement: this.#placement,
      group: this.#group,
      members: this.members,
      after: (ms, end) =>
        sim.at(ms, () => {
          if (!this.#healed) end();
        }),
      lieInWait: (ms, ambush) => {
        this.#ambushes.set(kind, ambush);
        sim.at(ms, () => this.#leave(kind, ambush));
      },
      happened,
      tell: (text) => this.#story.tell('FAULT', `#${id} ${kind} ${text} for ${durationMs} ms`),
    });
    if (struck) happened();
  }
}
