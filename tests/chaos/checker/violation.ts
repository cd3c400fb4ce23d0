/** Names as in the project's list of invariants: C1 …, L1 …; `liveness` for what did not come in time. */
export interface Violation {
  readonly rule: string;
  readonly message: string;
}

const messagesPerRuleMax = 20;

/** Collects; of each rule a bounded number of messages, the rest is counted. */
export class Violations {
  readonly #list: Violation[] = [];
  readonly #counts = new Map<string, number>();

  add(rule: string, message: string): void {
    const count = (this.#counts.get(rule) ?? 0) + 1;
    this.#counts.set(rule, count);
    if (count <= messagesPerRuleMax) this.#list.push({ rule, message });
  }

  get list(): Violation[] {
    const more = [...this.#counts]
      .filter(([, count]) => count > messagesPerRuleMax)
      .map(([rule, count]) => ({ rule, message: `… ${count - messagesPerRuleMax} more` }));
    return [...this.#list, ...more];
  }
}
