import { assert } from '@naru/runtime';
import { type Member, SimulatedCluster } from './simulated-cluster.ts';

export interface WorkloadReport {
  readonly acknowledged: number;
  readonly reads: number;
  readonly faults: number;
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

  constructor(seed: number, size: number) {
    this.#cluster = new SimulatedCluster(`quorum ${seed}`, size);
  }

  async run(durationMs: number): Promise<WorkloadReport> {
    const { sim, members } = this.#cluster;
    await this.#cluster.startAll();
    this.#clients();
    this.#harm();
    await sim.runFor(durationMs);
    this.#over = true;
    await this.#heal();
    for (const { id, machine, failure } of members) {
      assert(failure === undefined, `node ${id} failed: ${failure?.stack}`);
      const held = new Set(machine.commands);
      assert(held.size === machine.commands.length, 'a command was applied twice');
      for (const text of this.#acknowledged)
        assert(held.has(text), `Z6: ${text} was acknowledged and is lost on ${id}`);
    }
    return {
      acknowledged: this.#acknowledged.size,
      reads: this.#reads,
      faults: this.#faults,
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
      assert(machine.commands.includes(before), `row 28: a read does not see ${before}`);
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

  async #heal(): Promise<void> {
    const { sim, members } = this.#cluster;
    sim.network.healAll();
    for (const { node } of members) if (node.alive && node.paused) node.resume();
    await sim.runUntil(() => members.every(({ quorum }) => quorum !== undefined));
    const leader = await this.#cluster.awaitLeader();
    await sim.complete(leader.propose(Buffer.from('last')));
    await this.#cluster.awaitAgreement(members);
  }
}
