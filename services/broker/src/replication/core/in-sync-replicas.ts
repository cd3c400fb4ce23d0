import { assert } from '@naru/runtime';
import { includesMember, type Member, type PartitionState } from '../../cluster/partition-state.ts';

/** A change of ISR and ELR on its way to the coordinator: a compare-and-set of the state's version. */
export interface IsrProposal {
  /** Tells answers apart; grows within a leadership. */
  readonly id: number;
  readonly baseVersion: number;
  readonly isr: readonly Member[];
  readonly elr: readonly Member[];
  /** Those that are not in the committed ISR: their registrations are checked with the write (row 9). */
  readonly added: readonly Member[];
}

/**
 * - `committed`: written, as `version`.
 * - `conflict`: somebody else wrote first; their state comes with the metadata.
 * - `refused`: `member`, which was to be added, is not registered as this incarnation any more.
 * - `not-registered`: the leader's own incarnation is over.
 * - `unknown`: the connection broke; it may be written now, later, or never.
 */
export type ProposalOutcome =
  | { readonly kind: 'committed'; readonly version: number }
  | { readonly kind: 'refused'; readonly member: Member }
  | { readonly kind: 'conflict' | 'not-registered' | 'unknown' };

/**
 * The ISR as its leader must see it: what is committed, and everything that may have been committed without the leader knowing.
 *
 * Row 6 (Vanlightly §6.5.2, KIP-497):
 *   1. the leader asks to add broker 3 and goes on acknowledging with {1, 2};
 *   2. the coordinator commits {1, 2, 3}; the answer is late;
 *   3. brokers 1 and 2 die; broker 3 is in the ISR, is elected, and has not got what was acknowledged since 1.
 * So the high watermark counts the union of the committed ISR and of every proposal whose outcome is not known: the maximal ISR. A proposal with an
 * unknown outcome stays in it until the version of the state has moved past the one it was based on; from then on its
 * compare-and-set has either been that move or can never succeed.
 */
export class InSyncReplicas {
  #isr: readonly Member[];
  #elr: readonly Member[];
  #version: number;
  /** All with `baseVersion` = `#version`; more than one only after unknown outcomes. */
  #unresolved: IsrProposal[] = [];
  #inFlight: IsrProposal | undefined;
  /** Lost the race for `#version`: nothing to propose until the winner's state is seen. */
  #overtaken = false;
  #maximal: readonly Member[];
  #nextId = 1;

  constructor(state: PartitionState, version: number) {
    this.#isr = state.isr;
    this.#elr = state.elr;
    this.#version = version;
    this.#maximal = state.isr;
  }

  get committed(): readonly Member[] {
    return this.#isr;
  }

  get eligible(): readonly Member[] {
    return this.#elr;
  }

  get version(): number {
    return this.#version;
  }

  /** Without a pending change it is the committed ISR (R3). */
  get maximal(): readonly Member[] {
    return this.#maximal;
  }

  /** Outcomes are unknown: the version has to move, were it by writing the same again. */
  get isUncertain(): boolean {
    return this.#inFlight === undefined && this.#unresolved.length > 0;
  }

  get mayPropose(): boolean {
    return this.#inFlight === undefined && !this.#overtaken;
  }

  propose(isr: readonly Member[], elr: readonly Member[]): IsrProposal {
    assert(this.mayPropose, 'one ISR proposal at a time');
    const added = isr.filter((member) => !includesMember(this.#isr, member));
    const proposal: IsrProposal = { id: this.#nextId++, baseVersion: this.#version, isr, elr, added };
    this.#inFlight = proposal;
    this.#unresolved.push(proposal);
    this.#recompute();
    return proposal;
  }

  /** Answers to proposals that a newer state has already resolved say nothing new. */
  answered(proposalId: number, outcome: ProposalOutcome): void {
    const proposal = this.#unresolved.find((p) => p.id === proposalId);
    if (this.#inFlight?.id === proposalId) this.#inFlight = undefined;
    if (proposal === undefined) return;
    switch (outcome.kind) {
      case 'committed':
        this.observed(proposal.isr, proposal.elr, outcome.version);
        return;
      case 'conflict':
        this.#overtaken = true;
        break;
      case 'refused':
      case 'not-registered':
        break;
      case 'unknown':
        return;
    }
    this.#unresolved = this.#unresolved.filter((p) => p.id !== proposalId);
    this.#recompute();
  }

  /** A committed state of the same leadership, from the metadata or from an own success. True when it is news. */
  observed(isr: readonly Member[], elr: readonly Member[], version: number): boolean {
    if (version <= this.#version) return false;
    this.#isr = isr;
    this.#elr = elr;
    this.#version = version;
    this.#unresolved = [];
    this.#inFlight = undefined;
    this.#overtaken = false;
    this.#recompute();
    return true;
  }

  #recompute(): void {
    let maximal = this.#isr;
    for (const proposal of this.#unresolved) {
      for (const member of proposal.isr) {
        if (!includesMember(maximal, member)) maximal = [...maximal, member];
      }
    }
    this.#maximal = maximal;
  }
}
