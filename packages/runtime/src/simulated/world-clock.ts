/** The time that no node can see: true, and the same everywhere. */
export interface WorldClock {
  /** Milliseconds since the simulation began. */
  readonly nowMs: number;
  /** The true wall clock at the beginning, milliseconds since the epoch. */
  readonly wallStartMs: number;
}
