import { assert } from '@naru/runtime';
import type { MembershipChange } from '../state-machine.ts';
import { type Member, SimulatedCluster } from './simulated-cluster.ts';

export interface WorkloadReport {
  readonly acknowledged: number;
  readonly reads: number;
  readonly faults: number;
  /** Of the membership, as far as they were confirmed. */
  readonly changes: number;
  readonly restores: number;
  readonly terms: number;
  readonly traceHash: string;
}

/** Clients that propose and read while a seeded hand does harm; then everything heals and nothing acknowledged may be missing. */
export class Workload {
  readonly #cluster: SimulatedCluster;
  readonly #acknowledged = new Set<string>();
  #sequence = 0;
  #reads = 0;
  #faults = 0;
  #over = false;
  #violation: string | undefined;

  readonly #changesMembers: boolean;
  #changes = 0;

  constructor(seed: number, size: number, changesMembers = false) {
    this.#changesMembers = changesMembers;
    this.#cluster = new SimulatedCluster(`quorum ${seed}`, size, changesMembers ? 2 : 0);
  }

  async run(durationMs: number): Promise<WorkloadReport> {
    const { sim, members } = this.#cluster;
    await sim.complete(Promise.all(members.map((member) => this.#cluster.start(member))));
    this.#clients();
    this.#harm();
    if (this.#changesMembers) this.#changeMembers();
    await sim.runFor(durationMs);
    this.#over = true;
    const final = await this.#heal();
    const [failure] = this.#cluster.failures;
    assert(failure === undefined, `a node failed: ${failure?.stack}`);
    assert(this.#violation === undefined, this.#violation ?? '');
    for (const { id, machine } of final) {
      const held = new Set(machine.commands);
      assert(held.size === machine.commands.length, 'a command was applied twice');
      for (const text of this.#acknowledged)
        assert(held.has(text), `Z6: ${text} was acknowledged and is lost on ${id}`);
    }
    return {
      acknowledged: this.#acknowledged.size,
      reads: this.#reads,
      faults: this.#faults,
      changes: this.#changes,
      restores: members.reduce((sum, { machine }) => sum + machine.restores, 0),
      terms: Math.max(...members.map(({ quorum }) => quorum?.status().term ?? 0)),
      traceHash: sim.traceHash,
    };
  }

  /** Every few milliseconds some proposals and a read at whoever believes to lead. */
  #clients(): void {
    const { sim, members } = this.#cluster;
    if (this.#over) return;
    for (const member of members) {
      if (member.quorum?.status().role !== 'leader') continue;
      for (let count = sim.random.nextInt(4); count > 0; count -= 1) this.#propose(member);
      this.#read(member);
    }
    sim.at(1 + sim.random.nextInt(20), () => this.#clients());
  }

  #propose(member: Member): void {
    this.#sequence += 1;
    const text = `w${this.#sequence}`;
    void member.quorum?.propose(Buffer.from(text)).then((outcome) => {
      if (outcome.ok) this.#acknowledged.add(text);
    });
  }

  /** What was acknowledged before the read began must be applied when it is answered. */
  #read(member: Member): void {
    const before = [...this.#acknowledged].at(-1);
    const { quorum, machine } = member;
    void quorum?.read().then((outcome) => {
      if (!outcome.ok || before === undefined) return;
      this.#reads += 1;
      if (!machine.commands.includes(before)) this.#violation ??= `row 28: a read does not see ${before}`;
    });
  }

  #harm(): void {
    const { sim, members } = this.#cluster;
    if (this.#over) return;
    const victim = members[sim.random.nextInt(members.length)] as Member;
    this.#faults += 1;
    switch (sim.random.nextInt(7)) {
      case 0:
        this.#stop(victim, 'crash');
        break;
      case 1:
        this.#stop(victim, 'power');
        break;
      case 2:
        // All at once.
        for (const member of members) this.#stop(member, 'power');
        break;
      case 3:
        sim.network.isolate(victim.node.name);
        break;
      case 4: {
        const other = members[sim.random.nextInt(members.length)] as Member;
        if (other !== victim) sim.network.cut(victim.node.name, other.node.name, { oneWay: true });
        break;
      }
      case 5:
        sim.network.healAll();
        break;
      default:
        this.#pause(victim);
    }
    sim.at(100 + sim.random.nextInt(1_200), () => this.#harm());
  }

  #stop(member: Member, how: 'crash' | 'power'): void {
    if (!member.node.alive) return;
    if (member.node.paused) member.node.resume();
    this.#cluster.stop(member, how);
    this.#cluster.sim.at(50 + this.#cluster.sim.random.nextInt(1_500), () => this.#restart(member));
  }

  #restart(member: Member): void {
    if (member.node.alive) return;
    const life = member.node.lives + 1;
    this.#cluster.restart(member).catch((error: unknown) => {
      // A crash in the middle of a start is an end like any other.
      if (member.node.lives === life && member.node.alive) throw error;
    });
  }

  #pause(member: Member): void {
    const { node } = member;
    if (!node.alive || node.paused) return;
    const { lives } = node;
    node.pause();
    this.#cluster.sim.at(200 + this.#cluster.sim.random.nextInt(3_000), () => {
      if (node.lives === lives && node.alive && node.paused) node.resume();
    });
  }

  #changeMembers(): void {
    const { sim, members, leader } = this.#cluster;
    if (this.#over) return;
    const known = leader?.quorum?.status().members ?? [];
    const { id } = members[sim.random.nextInt(members.length)] as Member;
    const found = known.find((member) => member.id === id);
    if (found === undefined) this.#change(leader, { kind: 'add-learner', member: this.#cluster.address(id) });
    else if (!found.voter) this.#change(leader, { kind: 'promote', id });
    else if (known.filter(({ voter }) => voter).length > 3) this.#change(leader, { kind: 'remove', id });
    sim.at(200 + sim.random.nextInt(800), () => this.#changeMembers());
  }

  #change(leader: Member | undefined, change: MembershipChange): void {
    void leader?.quorum?.changeMembership(change).then((outcome) => {
      if (outcome.ok) this.#changes += 1;
    });
  }

  /** Answers with those who are members in the end. */
  async #heal(): Promise<Member[]> {
    const { sim, members } = this.#cluster;
    sim.network.healAll();
    for (const { node } of members) if (node.alive && node.paused) node.resume();
    await sim.runUntil(() => members.every(({ quorum }) => quorum !== undefined));
    await sim.runFor(3_000);
    const leader = await this.#cluster.awaitLeader();
    await sim.complete(leader.propose(Buffer.from('last')));
    const final = leader.status().members.map(({ id }) => members[id - 1] as Member);
    await this.#cluster.awaitAgreement(final);
    return final;
  }
}
