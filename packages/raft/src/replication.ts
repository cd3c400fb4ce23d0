import { assert } from '@naru/runtime';
import { isJoint } from './configuration-change.ts';
import type { RaftCore } from './core.ts';
import { leaveJointWhenCommitted, stepDownWhenRemoved } from './membership.ts';
import { Progress } from './progress.ts';
import { hasQuorum, membersOf, quorumValue } from './quorum.ts';
import { confirmReads, releaseEarlyReads } from './reads.ts';
import type { AppendResponse, EntryKind, HeartbeatResponse, LogIndex, NodeId } from './types.ts';

/** The leader's side: appends, acknowledgements, commitment, heartbeats, the check of the quorum. */

export function becomeLeader(core: RaftCore): void {
  assert(core.role === 'candidate', 'only a candidate becomes leader');
  core.reset(core.term);
  core.role = 'leader';
  core.leader = core.id;
  core.termStart = core.log.lastIndex + 1;
  followConfiguration(core);
  // §8: an empty entry of the own term; by committing it the leader learns what its predecessors committed.
  appendOwn(core, 'noop', new Uint8Array());
}

/** Gives every member a progress, and forgets who is none. */
export function followConfiguration(core: RaftCore): void {
  const before = core.progress;
  core.progress = new Map();
  for (const id of membersOf(core.log.configuration)) {
    const progress = before.get(id) ?? new Progress(core.log.lastIndex + 1, core.limits.inflightAppendsMax);
    // New ones get the benefit of the doubt until the next check of the quorum.
    if (!before.has(id)) progress.recentlyActive = true;
    if (id === core.id) progress.acknowledged(core.log.stable);
    core.progress.set(id, progress);
  }
}

export function appendOwn(core: RaftCore, kind: EntryKind, data: Uint8Array): LogIndex {
  assert(core.role === 'leader', 'only a leader appends entries of its own');
  const index = core.log.lastIndex + 1;
  core.log.append({ index, term: core.term, kind, data });
  core.uncommittedBytes += data.length;
  if (kind === 'configuration') followConfiguration(core);
  return index;
}

/** The leader's own entries are on its disk: from now on it counts itself (row 36), also when it is alone. */
export function ownEntriesDurable(core: RaftCore): void {
  if (core.role !== 'leader') return;
  const changed = core.progress.get(core.id)?.acknowledged(core.log.stable) ?? false;
  if (changed) advanceCommit(core);
}

/**
 * §5.4.2: counting replicas commits entries of the own term only; earlier ones are committed with them (figure 8 shows what would be
 * lost otherwise).
 */
export function advanceCommit(core: RaftCore): void {
  const { log } = core;
  const index = quorumValue(log.configuration, (node) => core.progress.get(node)?.match ?? 0);
  if (index <= log.commit || log.termAt(index) !== core.term) return;
  for (const entry of log.slice(Math.max(log.commit + 1, core.termStart), index, Number.POSITIVE_INFINITY)) {
    core.uncommittedBytes -= entry.data.length;
  }
  log.commitTo(index);
  releaseEarlyReads(core);
  if (isJoint(log.configuration)) leaveJointWhenCommitted(core);
  else stepDownWhenRemoved(core);
}

/** True when `replicate` would send something. */
export function replicationDue(core: RaftCore): boolean {
  for (const [id, progress] of core.progress) {
    if (id !== core.id && appendDue(core, progress)) return true;
  }
  return false;
}

/** Sends every follower what it lacks, as far as its window reaches. Called once a round: proposals of one round share their appends. */
export function replicate(core: RaftCore): void {
  for (const [id, progress] of core.progress) {
    if (id === core.id) continue;
    while (appendDue(core, progress)) sendAppend(core, id, progress);
  }
}

function appendDue(core: RaftCore, progress: Progress): boolean {
  if (progress.paused) return false;
  if (progress.state === 'replicate') return progress.next <= core.log.lastIndex;
  // A probe is worth sending even when it is empty, but a snapshot only to somebody who is there.
  return reachable(core, progress.next - 1) || (progress.recentlyActive && core.log.snapshot !== undefined);
}

function reachable(core: RaftCore, previousIndex: LogIndex): boolean {
  return core.log.termAt(previousIndex) !== undefined;
}

function sendAppend(core: RaftCore, to: NodeId, progress: Progress): void {
  const { log, term, id: from } = core;
  const previousIndex = progress.next - 1;
  const previousTerm = log.termAt(previousIndex);
  if (previousTerm === undefined) {
    sendSnapshot(core, to, progress);
    return;
  }
  const entries =
    progress.next > log.lastIndex ? [] : log.slice(progress.next, log.lastIndex, core.limits.appendBytesMax);
  core.send({ kind: 'append', from, to, term, previousIndex, previousTerm, entries, commit: log.commit });
  if (progress.state === 'probe' || entries.length > 0) progress.sent(previousIndex + entries.length);
}

function sendSnapshot(core: RaftCore, to: NodeId, progress: Progress): void {
  const { snapshot } = core.log;
  assert(snapshot !== undefined, 'what the log no longer holds is in a snapshot');
  progress.becomeSnapshot(snapshot.index);
  core.send({ kind: 'snapshot', from: core.id, to, term: core.term, snapshot });
}

export function handleAppendResponse(core: RaftCore, response: AppendResponse): void {
  const progress = core.progress.get(response.from);
  if (progress === undefined) return;
  progress.recentlyActive = true;
  if (response.reject) {
    const { rejectHintIndex, rejectHintTerm } = response;
    const hint =
      rejectHintTerm > 0 ? core.log.findConflictByTerm(rejectHintIndex, rejectHintTerm).index : rejectHintIndex;
    progress.rejected(response.index, hint);
    return;
  }
  assert(response.index <= core.log.lastIndex, 'a follower acknowledges only what its leader sent');
  const advanced = progress.acknowledged(response.index);
  followProgress(progress, response.index);
  if (advanced) advanceCommit(core);
  if (core.role === 'leader' && core.transferee === response.from) continueTransfer(core);
}

function followProgress(progress: Progress, index: LogIndex): void {
  switch (progress.state) {
    case 'probe':
      if (index === progress.match) progress.becomeReplicate();
      break;
    case 'snapshot':
      // Also an append may have brought it past the snapshot that is still on its way.
      if (progress.match >= progress.pendingSnapshot) progress.becomeReplicate();
      break;
    case 'replicate':
      progress.releaseInflight(index);
  }
}

export function handleHeartbeatResponse(core: RaftCore, response: HeartbeatResponse): void {
  const progress = core.progress.get(response.from);
  if (progress === undefined) return;
  progress.recentlyActive = true;
  if (progress.retryDue) retry(core, response.from, progress);
  core.reads.acknowledge(response.from, response.readContext);
  confirmReads(core);
}

/** Perhaps an append was lost: one more, empty if need be, makes the follower tell what it lacks. */
function retry(core: RaftCore, to: NodeId, progress: Progress): void {
  progress.retryDue = false;
  progress.probeSent = false;
  if (progress.state !== 'replicate' || progress.match >= core.log.lastIndex) return;
  if (progress.paused) progress.releaseOldest();
  if (!appendDue(core, progress)) sendAppend(core, to, progress);
}

export function broadcastHeartbeat(core: RaftCore): void {
  const { id: from, term, log } = core;
  for (const [to, progress] of core.progress) {
    if (to === from) continue;
    // Never beyond what the follower is known to hold: it need not be able to commit more.
    const commit = Math.min(progress.match, log.commit);
    core.send({ kind: 'heartbeat', from, to, term, commit, readContext: core.reads.round });
  }
}

export function tickLeader(core: RaftCore): void {
  core.heartbeatElapsed += 1;
  core.electionElapsed += 1;
  if (core.electionElapsed >= core.options.electionTicks) {
    core.electionElapsed = 0;
    core.transferee = 0;
    checkQuorum(core);
  }
  if (core.role === 'leader' && core.heartbeatElapsed >= core.options.heartbeatTicks) {
    core.heartbeatElapsed = 0;
    for (const progress of core.progress.values()) progress.retryDue = true;
    broadcastHeartbeat(core);
  }
}

/** Row 35: a leader that no majority answered for a whole election timeout does not go on pretending. */
function checkQuorum(core: RaftCore): void {
  const active = (node: NodeId): boolean => node === core.id || core.progress.get(node)?.recentlyActive === true;
  if (!hasQuorum(core.log.configuration, active)) {
    core.becomeFollower(core.term, 0);
    return;
  }
  for (const progress of core.progress.values()) {
    progress.recentlyActive = false;
    progress.tireOfSnapshot();
  }
}

/** Leadership transfer (thesis §3.10): once the target has everything, it may campaign at once. */
export function continueTransfer(core: RaftCore): void {
  const progress = core.progress.get(core.transferee);
  if (progress === undefined || progress.match !== core.log.lastIndex) return;
  core.send({ kind: 'timeout-now', from: core.id, to: core.transferee, term: core.term });
}
