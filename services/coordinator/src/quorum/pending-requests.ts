import type { LogIndex, NodeId, Term } from '@naru/raft';
import type { ProposalOutcome, ReadOutcome } from './state-machine.ts';

interface PendingProposal {
  readonly term: Term;
  readonly settle: (outcome: ProposalOutcome) => void;
}

interface PendingRead {
  /** Undefined until a quorum confirmed it. */
  index: LogIndex | undefined;
  readonly settle: (outcome: ReadOutcome) => void;
}

/** Who waits for what on this node. Each is answered exactly once. */
export class PendingRequests {
  readonly #proposals = new Map<LogIndex, PendingProposal>();
  readonly #reads = new Map<number, PendingRead>();
  /** Confirmed reads whose index is not applied yet. */
  readonly #confirmed = new Set<number>();
  #readContext = 0;

  get proposals(): number {
    return this.#proposals.size;
  }

  addProposal(index: LogIndex, term: Term): Promise<ProposalOutcome> {
    return new Promise((settle) => {
      this.#proposals.set(index, { term, settle });
    });
  }

  /** An entry was applied at `index`; it is the proposer's when the term is the same. */
  applied(index: LogIndex, term: Term, result: unknown, leader: NodeId): void {
    const pending = this.#proposals.get(index);
    if (pending === undefined) return;
    this.#proposals.delete(index);
    if (pending.term === term) pending.settle({ ok: true, index, term, result });
    else pending.settle({ ok: false, reason: 'leadership-lost', leader });
  }

  addRead(request: (context: number) => ReadOutcome | undefined): Promise<ReadOutcome> {
    this.#readContext += 1;
    const context = this.#readContext;
    return new Promise((settle) => {
      const refused = request(context);
      if (refused) settle(refused);
      else this.#reads.set(context, { index: undefined, settle });
    });
  }

  readConfirmed(context: number, index: LogIndex): void {
    const read = this.#reads.get(context);
    if (read === undefined) return;
    read.index = index;
    this.#confirmed.add(context);
  }

  /** Answers the confirmed reads that the state has reached. */
  serveReads(applied: LogIndex): void {
    for (const context of this.#confirmed) {
      const read = this.#reads.get(context);
      if (read?.index === undefined || read.index > applied) continue;
      this.#confirmed.delete(context);
      this.#reads.delete(context);
      read.settle({ ok: true, index: applied });
    }
  }

  /**
   * This node leads no more: what is committed already is answered when it is applied, the rest has an unknown outcome. A confirmed read
   * stays good, it only waits for its index.
   */
  leadershipLost(commit: LogIndex, leader: NodeId): void {
    for (const [index, proposal] of this.#proposals) {
      if (index <= commit) continue;
      this.#proposals.delete(index);
      proposal.settle({ ok: false, reason: 'leadership-lost', leader });
    }
    for (const [context, read] of this.#reads) {
      if (read.index !== undefined) continue;
      this.#reads.delete(context);
      read.settle({ ok: false, reason: 'leadership-lost', leader });
    }
  }

  closed(): void {
    const outcome = { ok: false, reason: 'closed', leader: 0 } as const;
    for (const proposal of this.#proposals.values()) proposal.settle(outcome);
    for (const read of this.#reads.values()) read.settle(outcome);
    this.#proposals.clear();
    this.#reads.clear();
    this.#confirmed.clear();
  }
}
