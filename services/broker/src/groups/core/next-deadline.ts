import type { Member } from './member.ts';

const never = Number.POSITIVE_INFINITY;

/** When something has to be looked at next: a bound, as what it was for may be over by then. */
export class NextDeadline {
  #atMs: number = never;

  get atMs(): number {
    return this.#atMs;
  }

  /** Returns it. */
  by(deadlineMs: number): number {
    this.#atMs = Math.min(this.#atMs, deadlineMs);
    return deadlineMs;
  }

  set(deadlineMs: number): void {
    this.#atMs = deadlineMs;
  }

  /** Its session begins anew. */
  heard(member: Member, nowMs: number): void {
    member.deadlineMs = this.by(nowMs + member.sessionTimeoutMs);
  }
}
