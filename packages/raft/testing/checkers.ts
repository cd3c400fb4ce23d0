import { decodeConfiguration } from '../src/configuration-change.ts';
import type { RaftCore } from '../src/core.ts';
import { describeEntry } from '../src/describe.ts';
import type { Configuration, Entry, HardState, LogIndex, Message, NodeId, Term } from '../src/types.ts';

/** A safety property of Raft was broken; `invariant` is its name in the list of invariants. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
  readonly invariant: string;

  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
  }
}

function check(condition: boolean, invariant: string, message: () => string): void {
  if (!condition) throw new InvariantViolation(invariant, message());
}

/** Sees everything that happens in the cluster, as no node can, and keeps what must never change. */
export class Checkers {
  readonly #leaderOf = new Map<Term, NodeId>();
  readonly #entries = new Map<string, string>();
  readonly #committed = new Map<LogIndex, Entry>();
  readonly #chains = new Map<LogIndex, string>();
  readonly #votes = new Map<string, NodeId>();
  readonly #durable = new Map<NodeId, HardState>();
  #committedMax: LogIndex = 0;

  get committedMax(): LogIndex {
    return this.#committedMax;
  }
  get terms(): number {
    return this.#leaderOf.size;
  }

  /** After each event, for each running node. */
  observe(core: RaftCore): void {
    if (core.role !== 'leader') return;
    const known = this.#leaderOf.get(core.term);
    check(
      known === undefined || known === core.id,
      'Z1',
      () => `term ${core.term} has leaders ${known} and ${core.id}`,
    );
    if (known === undefined) this.#leaderElected(core);
    this.#oneChangeAtATime(core);
  }

  #leaderElected(core: RaftCore): void {
    this.#leaderOf.set(core.term, core.id);
    for (const [index, entry] of this.#committed) {
      if (index < core.log.firstIndex) continue;
      const found = core.log.termAt(index);
      const story = (): string => `leader ${core.id} of term ${core.term} lacks committed ${describeEntry(entry)}`;
      check(found === entry.term, 'Z3', story);
    }
  }

  #oneChangeAtATime(core: RaftCore): void {
    const { log } = core;
    const uncommitted = log.slice(log.commit + 1, log.lastIndex, Number.POSITIVE_INFINITY);
    const changes = uncommitted.filter((entry) => entry.kind === 'configuration').length;
    check(changes <= 1, 'Z15', () => `leader ${core.id} has ${changes} uncommitted configurations`);
  }

  /** Z2 by induction: an entry is named by index and term, and so is its predecessor. */
  written(node: NodeId, entries: readonly Entry[], previousTerm: Term | undefined): void {
    let before = previousTerm;
    for (const entry of entries) {
      const name = `${entry.index}/${entry.term}`;
      const content = `${entry.kind} ${Buffer.from(entry.data).toString('hex')} after ${before}`;
      const known = this.#entries.get(name);
      check(
        known === undefined || known === content || before === undefined,
        'Z2',
        () => `${node}: ${name}: ${known} and ${content}`,
      );
      if (before !== undefined) this.#entries.set(name, content);
      before = entry.term;
    }
  }

  applied(node: NodeId, entry: Entry, chain: string): void {
    const known = this.#committed.get(entry.index);
    const same = known === undefined || (known.term === entry.term && Buffer.compare(known.data, entry.data) === 0);
    check(same, 'Z6', () => `${node} applies ${describeEntry(entry)}, committed is ${describeEntry(known as Entry)}`);
    this.#committed.set(entry.index, entry);
    this.#committedMax = Math.max(this.#committedMax, entry.index);
    this.chain(node, entry.index, chain);
    if (known === undefined && entry.kind === 'configuration') this.#configurationFollows(entry);
  }

  chain(node: NodeId, index: LogIndex, chain: string): void {
    const known = this.#chains.get(index);
    check(known === undefined || known === chain, 'Z4', () => `${node}: another state at ${index}`);
    this.#chains.set(index, chain);
  }

  #lastConfiguration: Configuration | undefined;

  /** Z15: each step keeps the old majority in the decision, or leaves a change whose new majority decided already. */
  #configurationFollows(entry: Entry): void {
    const next = decodeConfiguration(entry.data);
    const last = this.#lastConfiguration;
    this.#lastConfiguration = next;
    if (last === undefined) return;
    const same = (left: readonly NodeId[], right: readonly NodeId[]): boolean => left.join() === right.join();
    const enters = last.outgoing.length === 0 && same(next.outgoing, last.voters);
    const leaves = last.outgoing.length > 0 && next.outgoing.length === 0 && same(next.voters, last.voters);
    const keeps = last.outgoing.length === 0 && next.outgoing.length === 0 && same(next.voters, last.voters);
    check(enters || leaves || keeps, 'Z15', () => `${JSON.stringify(last)} is followed by ${JSON.stringify(next)}`);
  }

  sent(message: Message): void {
    if (message.kind !== 'vote-response' || message.reject) return;
    const key = `${message.from} in ${message.term}`;
    const known = this.#votes.get(key);
    check(known === undefined || known === message.to, 'Z5', () => `${key} voted for ${known} and ${message.to}`);
    this.#votes.set(key, message.to);
  }

  stored(node: NodeId, hardState: HardState): void {
    const before = this.#durable.get(node);
    this.#durable.set(node, hardState);
    if (before === undefined) return;
    const grows = hardState.term > before.term;
    const keeps = hardState.term === before.term && (before.vote === 0 || before.vote === hardState.vote);
    check(grows || keeps, 'Z5', () => `${node}: ${JSON.stringify(before)} becomes ${JSON.stringify(hardState)}`);
  }

  /** Row 28: a read sees everything that was committed before it began. */
  read(node: NodeId, index: LogIndex, committedAtStart: LogIndex): void {
    check(index >= committedAtStart, 'Z8', () => `${node} reads at ${index}, ${committedAtStart} was committed before`);
  }
}
