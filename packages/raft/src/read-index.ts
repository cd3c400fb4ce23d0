import { quorumValue } from './quorum.ts';
import type { Configuration, LogIndex, NodeId, ReadState } from './types.ts';

interface PendingRead {
  readonly round: number;
  readonly state: ReadState;
}

/**
 * Linearizable reads without a log entry (ReadIndex, thesis §6.4).
 *
 * The commit index is taken when the read arrives, and only a heartbeat sent after that confirms it (row 28). The other order loses:
 * 1. the leader hears a quorum and believes in itself; 2. it is paused, another leader commits a write; 3. it wakes, a read
 * arrives and is answered by the old confirmation without that write.
 *
 * Reads that arrive before the next heartbeat share its round; an answer to a round confirms the earlier ones, too.
 */
export class ReadIndex {
  /** The last round that was broadcast. */
  #round = 0;
  #acknowledged = new Map<NodeId, number>();
  #pending: PendingRead[] = [];

  get size(): number {
    return this.#pending.length;
  }

  /** What every heartbeat carries, so that a lost one is made up for by the next. */
  get round(): number {
    return this.#round;
  }

  add(context: number, commit: LogIndex): void {
    this.#pending.push({ round: this.#round + 1, state: { context, index: commit } });
  }

  /** Reads wait for a round that has not begun. */
  get waiting(): boolean {
    return this.#pending.at(-1)?.round === this.#round + 1;
  }

  /** Begins the next round when reads wait for it. */
  beginRound(): boolean {
    if (!this.waiting) return false;
    this.#round += 1;
    return true;
  }

  acknowledge(node: NodeId, round: number): void {
    if (round > (this.#acknowledged.get(node) ?? 0)) this.#acknowledged.set(node, round);
  }

  /** Takes the reads that a quorum, `self` included, has confirmed. */
  confirmed(configuration: Configuration, self: NodeId): ReadState[] {
    const round = quorumValue(configuration, (node) =>
      node === self ? this.#round : (this.#acknowledged.get(node) ?? 0),
    );
    const count = this.#pending.findIndex((read) => read.round > round);
    return this.#pending.splice(0, count < 0 ? this.#pending.length : count).map((read) => read.state);
  }
}
