import { assert } from '@naru/runtime';
import type { LogIndex } from './types.ts';

/**
 * What the leader knows of one follower's log.
 *
 * - `probe`: where the logs agree is not known; one append at a time.
 * - `replicate`: they agree up to `match`; appends are pipelined, `next` runs ahead of the answers.
 * - `snapshot`: the entries it needs are compacted away; nothing is sent until the snapshot arrived or failed.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/** Election timeouts that a snapshot may take before its follower is asked again. */
const snapshotChecksMax = 10;

export class Progress {
  state: ProgressState = 'probe';
  /** Durable on the follower and equal to the leader's log up to here. */
  match: LogIndex = 0;
  /** The next entry to send. `next > match`. */
  next: LogIndex;
  /** A probe is under way: no other append until an answer or a heartbeat's answer came. */
  probeSent = false;
  /** The next answer to a heartbeat may repeat what is perhaps lost: once in an interval, however many reads ask for heartbeats. */
  retryDue = false;
  /** The index of the snapshot that was sent, in state `snapshot`. */
  pendingSnapshot: LogIndex = 0;
  /** Something came from it since the last check of the quorum. */
  recentlyActive = false;
  #snapshotChecks = 0;
  /** Last indexes of appends that are not answered, ascending; bounded by `inflightAppendsMax`. */
  #inflight: LogIndex[] = [];
  readonly #inflightMax: number;

  constructor(next: LogIndex, inflightMax: number) {
    this.next = next;
    this.#inflightMax = inflightMax;
  }

  get inflight(): number {
    return this.#inflight.length;
  }

  get paused(): boolean {
    if (this.state === 'probe') return this.probeSent;
    return this.state === 'snapshot' || this.#inflight.length >= this.#inflightMax;
  }

  /** An append that ends with `last` was sent; optimistic in `replicate`. */
  sent(last: LogIndex): void {
    if (this.state === 'replicate') {
      this.next = last + 1;
      this.#inflight.push(last);
    } else {
      assert(this.state === 'probe', 'nothing is sent during a snapshot');
      this.probeSent = true;
    }
  }

  /** The follower has everything up to `index`. False: known already, or an answer that was overtaken. */
  acknowledged(index: LogIndex): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.probeSent = false;
    return true;
  }

  releaseInflight(upTo: LogIndex): void {
    let count = 0;
    while (count < this.#inflight.length && (this.#inflight[count] as LogIndex) <= upTo) count += 1;
    if (count > 0) this.#inflight.splice(0, count);
  }

  /** The oldest answer is overdue: lets one append through, so that a lost one is found out. */
  releaseOldest(): void {
    this.#inflight.shift();
  }

  /** The follower refused an append after `rejected`; it may agree at `hint`. A stale refusal changes nothing. */
  rejected(rejected: LogIndex, hint: LogIndex): void {
    if (this.state === 'replicate') {
      if (rejected > this.match) this.becomeProbe();
    } else if (this.state === 'probe' && this.next - 1 === rejected) {
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
      this.probeSent = false;
    }
  }

  /**
   * Called once in an election timeout. A snapshot that was delivered and then lost in the follower's crash is never answered, so the
   * leader asks again some time; a follower that is still receiving refuses the probe, which costs nothing.
   */
  tireOfSnapshot(): void {
    if (this.state !== 'snapshot') return;
    this.#snapshotChecks += 1;
    if (this.#snapshotChecks < snapshotChecksMax) return;
    this.pendingSnapshot = 0;
    this.becomeProbe();
  }

  becomeProbe(): void {
    const next = this.state === 'snapshot' ? Math.max(this.match, this.pendingSnapshot) + 1 : this.match + 1;
    this.#become('probe');
    this.next = next;
  }

  becomeReplicate(): void {
    this.#become('replicate');
    this.next = this.match + 1;
  }

  becomeSnapshot(index: LogIndex): void {
    this.#become('snapshot');
    this.pendingSnapshot = index;
  }

  #become(state: ProgressState): void {
    this.state = state;
    this.probeSent = false;
    this.pendingSnapshot = 0;
    this.#snapshotChecks = 0;
    this.#inflight = [];
  }
}
