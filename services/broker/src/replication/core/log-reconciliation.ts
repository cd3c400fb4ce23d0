/**
 * How a follower's log is brought back to its leader's: by leader epoch, never by high watermark.
 *
 * A high watermark reaches a follower one fetch late, so that cutting to it loses records that were acknowledged (row 1, KIP-101 scenario 1) or keeps
 * two different records at one offset (row 2, KIP-101 scenario 2). What identifies a record is (leader epoch, offset): two logs that
 * agree on the epoch of their last common offset agree on everything before it.
 */

/** The largest epoch of a log that is not larger than the one asked for, and where it ends (KIP-279). */
export interface EpochEnd {
  readonly epoch: number;
  readonly endOffset: number;
}

/** What a follower says about its log when it fetches (KIP-595). */
export interface FollowerLogEnd {
  /** Its log end offset: the next offset it wants. */
  readonly fetchOffset: number;
  /** Epoch of its last batch; -1 with an empty log. */
  readonly lastFetchedEpoch: number;
}

/** What a leader knows about its own. */
export interface LeaderLogView {
  readonly logStartOffset: number;
  readonly logEndOffset: number;
  /** Undefined when even the oldest epoch of the log is larger than the one asked for. */
  endOf(epoch: number): EpochEnd | undefined;
}

export type Reconciliation =
  /** The follower's log is a prefix of the leader's. */
  | { readonly kind: 'consistent' }
  /** It is not: cut, then ask again. */
  | { readonly kind: 'diverging'; readonly end: EpochEnd }
  /** The leader no longer has, or never had, what would tell: start over at its log start offset. */
  | { readonly kind: 'out-of-range' };

const consistent: Reconciliation = { kind: 'consistent' };
const outOfRange: Reconciliation = { kind: 'out-of-range' };

/** The leader's half: is the follower's log a prefix of mine? (Kafka: Partition.readRecords.) */
export function reconcile(follower: FollowerLogEnd, leader: LeaderLogView): Reconciliation {
  if (follower.fetchOffset < leader.logStartOffset) return outOfRange;
  if (follower.lastFetchedEpoch < 0) return follower.fetchOffset > leader.logEndOffset ? outOfRange : consistent;
  const end = leader.endOf(follower.lastFetchedEpoch);
  if (end === undefined) return outOfRange;
  if (end.epoch < follower.lastFetchedEpoch || end.endOffset < follower.fetchOffset) return { kind: 'diverging', end };
  return consistent;
}

/**
 * The follower's half: where to cut after a `diverging` answer. `ownEnd` is the end of the largest epoch of the follower's own log that is not larger
 * than the answered one; undefined when all of its log is younger, and all of it goes.
 *
 * The smaller of both ends, and then the follower asks again (row 3, KIP-279): with several quick elections neither log need have the
 * other's last epoch, and one step only finds the next older epoch on which to compare.
 */
export function truncationPoint(answered: EpochEnd, ownEnd: EpochEnd | undefined, ownLogStartOffset: number): number {
  return Math.min(answered.endOffset, ownEnd?.endOffset ?? ownLogStartOffset);
}
