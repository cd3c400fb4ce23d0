/**
 * What a leader knows of one incarnation of a follower. An object of this class exists only once that incarnation has fetched in the current
 * leader epoch: a position from an earlier epoch may be cut away by the truncation that is still to come (row 4), one from an
 * earlier incarnation may be lost with its page cache (rows 9, 10).
 *
 * A follower under constant load is never at the end of a log that grows while its fetch travels and its disk syncs. So it is measured against a
 * mark, the leader's end at some moment: when it has reached the mark, it was caught up as of that moment, and the next mark is
 * set (KAFKA-1546 has the idea; a mark that stays until it is reached also suits positions that become durable later than they are fetched).
 */
export class FollowerProgress {
  readonly brokerEpoch: number;
  #replicatedOffset = -1;
  #caughtUpAtMs = Number.NEGATIVE_INFINITY;
  #markOffset: number;
  #markedAtMs: number;
  #regressed = false;
  #mayJoin = false;

  constructor(brokerEpoch: number, leaderEndOffset: number, nowMs: number) {
    this.brokerEpoch = brokerEpoch;
    this.#markOffset = leaderEndOffset;
    this.#markedAtMs = nowMs;
  }

  /** How far this follower counts for the high watermark: durable or appended, as the topic's promise wants it. */
  get replicatedOffset(): number {
    return this.#replicatedOffset;
  }

  /** Whoever was put out of the ISR for its silence comes back by a fetch, not because the high watermark stands where it left. */
  get mayJoin(): boolean {
    return this.#mayJoin;
  }

  fetched(replicatedOffset: number, leaderEndOffset: number, nowMs: number): void {
    this.#mayJoin = true;
    // Fetches of one incarnation in one epoch only go back when it lost its log and starts over.
    if (replicatedOffset < this.#replicatedOffset) this.#regressed = true;
    this.#replicatedOffset = replicatedOffset;
    if (replicatedOffset < this.#markOffset) return;
    this.#caughtUpAtMs = replicatedOffset >= leaderEndOffset ? nowMs : this.#markedAtMs;
    this.#markOffset = leaderEndOffset;
    this.#markedAtMs = nowMs;
    this.#regressed = false;
  }

  /** Its patience starts anew when it is asked into the ISR: it may have joined at the high watermark, below the mark. */
  joins(nowMs: number): void {
    this.#caughtUpAtMs = Math.max(this.#caughtUpAtMs, nowMs);
    this.#regressed = false;
  }

  leaves(): void {
    this.#mayJoin = false;
  }

  /** `epochStartedMs`: nobody is blamed for the time before this leader led. */
  isLagging(leaderEndOffset: number, epochStartedMs: number, nowMs: number, lagTimeMaxMs: number): boolean {
    if (this.#replicatedOffset >= leaderEndOffset) return false;
    return this.#regressed || nowMs - Math.max(this.#caughtUpAtMs, epochStartedMs) > lagTimeMaxMs;
  }
}
