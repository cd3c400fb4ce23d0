/**
 * Is a history of one register linearizable? (Wing and Gong's search, with Lowe's memory of the states that were tried.)
 * Written values are unique. An operation whose outcome is unknown has no end: it may take effect at any time after its call, or never.
 */
export interface RegisterOperation {
  readonly kind: 'write' | 'read';
  /** Written, or read; undefined: there was no value yet. */
  readonly value: string | undefined;
  readonly calledMs: number;
  /** Infinity: unknown. */
  readonly returnedMs: number;
}

export function isLinearizable(history: readonly RegisterOperation[]): boolean {
  // A read without an answer says nothing.
  const operations = history
    .filter((each) => each.kind === 'write' || each.returnedMs !== Number.POSITIVE_INFINITY)
    .sort((a, b) => a.calledMs - b.calledMs);
  const tried = new Set<string>();
  const search = (left: readonly number[], value: string | undefined): boolean => {
    if (left.every((index) => operations[index]?.returnedMs === Number.POSITIVE_INFINITY)) return true;
    const state = `${left.join(',')}=${value}`;
    if (tried.has(state)) return false;
    tried.add(state);
    // Whoever is next was called before the first of the others returned.
    const firstReturnMs = Math.min(...left.map((index) => operations[index]?.returnedMs ?? 0));
    return left.some((index) => {
      const next = operations[index] as RegisterOperation;
      if (next.calledMs > firstReturnMs || (next.kind === 'read' && next.value !== value)) return false;
      return search(
        left.filter((each) => each !== index),
        next.value,
      );
    });
  };
  return search([...operations.keys()], undefined);
}
