import { assert } from '@naru/runtime';
import {
  type ConfigurationChange,
  encodeConfiguration,
  enterChange,
  isJoint,
  leaveJoint,
  refuseChange,
} from './configuration-change.ts';
import type { RaftCore } from './core.ts';
import { isVoter } from './quorum.ts';
import { appendOwn } from './replication.ts';
import type { LogIndex } from './types.ts';

/**
 * Row 34 (Ongaro's note of 2015): no change before an entry of the own term is committed, and none while another is
 * uncommitted or half done.
 */
export function changePending(core: RaftCore): boolean {
  const { log } = core;
  return log.commit < core.termStart || log.configurationIndex > log.commit || isJoint(log.configuration);
}

/** The reason why not, or the index of the entry. */
export function appendChange(core: RaftCore, change: ConfigurationChange): LogIndex | 'change-pending' | 'invalid' {
  if (changePending(core)) return 'change-pending';
  if (refuseChange(change) !== undefined) return 'invalid';
  return appendOwn(core, 'configuration', encodeConfiguration(enterChange(core.log.configuration, change)));
}

/** C-old,new is committed: nobody can decide without it any more, so C-new may follow (Raft §6). */
export function leaveJointWhenCommitted(core: RaftCore): void {
  const { log } = core;
  if (log.configurationIndex > log.commit) return;
  assert(log.commit >= core.termStart, 'what a leader commits is of its own term');
  appendOwn(core, 'configuration', encodeConfiguration(leaveJoint(log.configuration)));
}

/** Raft §6: a leader that is not in C-new leads until C-new is committed, then gives way to a member that has everything. */
export function stepDownWhenRemoved(core: RaftCore): void {
  const { log } = core;
  if (isVoter(log.configuration, core.id) || log.configurationIndex > log.commit) return;
  const heir = log.configuration.voters.find((id) => core.progress.get(id)?.match === log.lastIndex);
  if (heir !== undefined) core.send({ kind: 'timeout-now', from: core.id, to: heir, term: core.term });
  core.becomeFollower(core.term, 0);
}
