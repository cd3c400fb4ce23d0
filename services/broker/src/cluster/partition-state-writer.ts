import type { Zxid } from '@naru/coordinator-client';
import type { Member, PartitionState } from './partition-state.ts';

export interface IsrChange {
  readonly topic: string;
  readonly partition: number;
  /** `PartitionImage.stateVersion` of the state that the change was decided on. */
  readonly expectedVersion: number;
  readonly state: PartitionState;
  /** The leader's own incarnation: a leader whose registration is gone writes nothing (R7). */
  readonly self: Member;
  /** Members of the new ISR that were not in the old one: each must still be registered as this incarnation (rows 9, 10; KIP-903). */
  readonly added: readonly Member[];
}

/**
 * - `conflict`: somebody, normally the controller, wrote the state meanwhile; wait for the new state and decide again (row 24).
 * - `added-member-gone`: `member` is not registered with this epoch any more.
 * - `not-registered`: the leader's own incarnation is over; it must stop leading.
 * - `topic-gone`: the partition's znode was removed.
 * - `unknown-outcome`: the session ended before an answer came. The change stays proposed until the metadata tells (row 6).
 */
export type IsrChangeResult =
  | { readonly ok: true; readonly version: number; readonly zxid: Zxid }
  | { readonly ok: false; readonly reason: 'conflict' | 'not-registered' | 'topic-gone' | 'unknown-outcome' }
  | { readonly ok: false; readonly reason: 'added-member-gone'; readonly member: Member };

/** What `replication/` asks of the cluster; `PartitionStateWriter` fulfils it. */
export interface IsrWriter {
  changeIsr(change: IsrChange): Promise<IsrChangeResult>;
}
