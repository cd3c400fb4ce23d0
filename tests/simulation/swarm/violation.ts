/** A promise that was broken. `invariant`: its name in tests/invariants.ts. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly invariant: string;

  constructor(invariant: string, text: string) {
    super(`${invariant}: ${text}`);
    this.invariant = invariant;
  }
}

export function require(condition: boolean, invariant: string, text: () => string): asserts condition {
  if (!condition) throw new Violation(invariant, text());
}
