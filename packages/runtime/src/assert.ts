/** A broken invariant: a bug of ours, never an expected outcome. The process that meets one must stop. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Stays on in production: a node that has lost its invariants must not go on answering. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** The end of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
