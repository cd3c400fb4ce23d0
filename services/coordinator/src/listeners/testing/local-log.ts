import type {
  MembershipOutcome,
  ProposalOutcome,
  QuorumStanding,
  QuorumStatus,
  ReadOutcome,
  ReplicatedLog,
  StateMachine,
} from '../../quorum/state-machine.ts';

/**
 * A log of one node in memory whose commits the test decides: `commitNext` applies the oldest proposal, and with `automatic` every
 * proposal is applied a turn of the microtask queue later. For the races that a real quorum shows only by luck.
 */
export class LocalLog implements ReplicatedLog {
  readonly proposed: Uint8Array[] = [];
  automatic = true;
  term = 1;
  readonly #machine: StateMachine;
  readonly #waiting: {
    readonly data: Uint8Array;
    readonly term: number;
    readonly decide: (outcome: ProposalOutcome) => void;
  }[] = [];
  readonly #roleChange: ((status: QuorumStatus) => void)[] = [];
  #index = 0;
  #leading = true;

  constructor(machine: StateMachine) {
    this.#machine = machine;
  }

  propose(data: Uint8Array, options: { readonly term?: number } = {}): Promise<ProposalOutcome> {
    if (!this.#leading || (options.term ?? this.term) !== this.term) {
      return Promise.resolve({ ok: false, reason: 'not-leader', leader: 0 });
    }
    this.proposed.push(data);
    return new Promise((decide) => {
      this.#waiting.push({ data, term: this.term, decide });
      if (this.automatic) void Promise.resolve().then(() => this.commitNext());
    });
  }

  /** Commits and applies the oldest proposal; false when there is none. */
  commitNext(): boolean {
    const next = this.#waiting.shift();
    if (next === undefined) return false;
    this.#index += 1;
    const { term } = next;
    const result = this.#machine.apply({ index: this.#index, term, data: next.data });
    next.decide({ ok: true, index: this.#index, term, result });
    return true;
  }

  async read(): Promise<ReadOutcome> {
    await undefined;
    return this.#leading ? { ok: true, index: this.#index } : { ok: false, reason: 'not-leader', leader: 0 };
  }

  loseLeadership(): void {
    this.#leading = false;
    for (const { decide } of this.#waiting.splice(0)) decide({ ok: false, reason: 'leadership-lost', leader: 0 });
    for (const callback of this.#roleChange) callback(this.status());
  }

  gainLeadership(): void {
    this.#leading = true;
    this.term += 1;
    for (const callback of this.#roleChange) callback(this.status());
  }

  standing(): QuorumStanding {
    return { role: this.#leading ? 'leader' : 'follower', term: this.term, commitIndex: this.#index };
  }

  status(): QuorumStatus {
    return {
      nodeId: 1,
      clusterId: '',
      ...this.standing(),
      leader: this.#leading ? 1 : 0,
      leaderAddress: '',
      serving: this.#leading,
      appliedIndex: this.#index,
      members: [],
      isChanging: false,
    };
  }

  onRoleChange(callback: (status: QuorumStatus) => void): void {
    this.#roleChange.push(callback);
  }

  async handOver(): Promise<void> {}

  transferLeadership(): Promise<{ readonly ok: boolean; readonly leader: number }> {
    return Promise.resolve({ ok: false, leader: 1 });
  }

  changeMembership(): Promise<MembershipOutcome> {
    return Promise.resolve({ ok: false, reason: 'invalid', leader: 1 });
  }

  onFailure(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}
