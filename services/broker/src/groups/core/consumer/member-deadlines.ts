/**
 * Why a member is put out when the time comes: it was silent; it did not give up in time what it had to; one of the classic protocol was told to join again
 * and did not, or joined and never asked for its assignment.
 */
type Reason = 'session' | 'revocation' | 'join' | 'sync';

const never = Number.POSITIVE_INFINITY;

/** When which member of a group is put out. None of it is in the log: whoever loads the group begins anew. */
export class MemberDeadlines {
  readonly #deadlines: Readonly<Record<Reason, Map<string, number>>> = {
    session: new Map(),
    revocation: new Map(),
    join: new Map(),
    sync: new Map(),
  };
  #nextMs = never;

  /** Nothing is due before. */
  get nextMs(): number {
    return this.#nextMs;
  }

  has(reason: Reason, memberId: string): boolean {
    return this.#deadlines[reason].has(memberId);
  }

  set(reason: Reason, memberId: string, atMs: number): void {
    this.#deadlines[reason].set(memberId, atMs);
    this.#nextMs = Math.min(this.#nextMs, atMs);
  }

  clear(reason: Reason, memberId: string): void {
    this.#deadlines[reason].delete(memberId);
  }

  forget(memberId: string): void {
    for (const deadlines of Object.values(this.#deadlines)) deadlines.delete(memberId);
  }

  /** Members whose time has come, for whatever reason. They are forgotten. */
  takeDue(nowMs: number): readonly string[] {
    if (nowMs < this.#nextMs) return [];
    const all = Object.values(this.#deadlines);
    const due = all.flatMap((deadlines) => [...deadlines].filter(([, atMs]) => atMs <= nowMs).map(([id]) => id));
    for (const id of due) this.forget(id);
    this.#nextMs = Math.min(never, ...all.flatMap((deadlines) => [...deadlines.values()]));
    return [...new Set(due)];
  }
}
