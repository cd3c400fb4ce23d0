import type { RaftCore } from '../src/core.ts';
import { quorumValue } from '../src/quorum.ts';
import type { HardState } from '../src/types.ts';

/**
 * How the harness drives Raft. The default keeps every rule; a mutant breaks one, and the checkers must find it out: a simulation that
 * cannot fail proves nothing.
 */
export interface Rules {
  readonly name: string;
  /** Rows 36 and 37: nothing is acknowledged before it is on the disk. */
  readonly advancesAfterSync: boolean;
  /** Votes and acknowledgements wait for the sync. */
  readonly promisesAfterSync: boolean;
  /** What of the hard state survives (Z5). */
  readonly storedHardState: (hardState: HardState) => HardState;
  /** Called after every step on a leader. */
  readonly afterStep: (core: RaftCore) => void;
  /** Row 28: a read waits for its quorum. */
  readonly confirmsReads: boolean;
}

export const soundRules: Rules = {
  name: 'sound',
  advancesAfterSync: true,
  promisesAfterSync: true,
  storedHardState: (hardState) => hardState,
  afterStep: () => {},
  confirmsReads: true,
};

export const leaderCountsItselfBeforeSync: Rules = {
  ...soundRules,
  name: 'the leader counts itself before its sync',
  advancesAfterSync: false,
};

export const promisesBeforeSync: Rules = {
  ...soundRules,
  name: 'votes and acknowledgements leave before the sync',
  promisesAfterSync: false,
};

export const forgetsItsVote: Rules = {
  ...soundRules,
  name: 'the vote is not stored',
  storedHardState: (hardState) => ({ ...hardState, vote: 0 }),
};

/** Figure 8: what breaking §5.4.2 would lose. */
export const commitsOldTermsByCounting: Rules = {
  ...soundRules,
  name: 'entries of earlier terms are committed by counting replicas',
  afterStep: (core) => {
    if (core.role !== 'leader') return;
    const index = quorumValue(core.log.configuration, (node) => core.progress.get(node)?.match ?? 0);
    core.log.commitTo(index);
  },
};

export const readsWithoutQuorum: Rules = { ...soundRules, name: 'a leader reads without asking', confirmsReads: false };
