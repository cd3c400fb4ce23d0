import { assert } from '@naru/runtime';
import type { RaftCore } from './core.ts';
import type { AppendRequest, Heartbeat, InstallSnapshot, LogIndex, NodeId } from './types.ts';

/** What a node does with its leader's messages. */

/** Whoever appends in this term leads it. */
function follow(core: RaftCore, leader: NodeId): void {
  assert(core.role !== 'leader', 'a term has one leader (Election Safety, Z1)');
  if (core.role !== 'follower' || core.leader !== leader) core.becomeFollower(core.term, leader);
  core.electionElapsed = 0;
}

export function handleAppend(core: RaftCore, request: AppendRequest): void {
  follow(core, request.from);
  const { log } = core;
  const reach = request.previousIndex + request.entries.length;
  if (reach <= log.commit) {
    acknowledge(core, request.from, log.commit);
    return;
  }
  const last =
    request.previousIndex < log.commit
      ? log.accept(log.commit, log.termAt(log.commit) ?? 0, request.entries.slice(log.commit - request.previousIndex))
      : log.accept(request.previousIndex, request.previousTerm, request.entries);
  if (last === undefined) {
    refuse(core, request);
    return;
  }
  log.commitTo(Math.min(request.commit, last));
  acknowledge(core, request.from, last);
}

/** After the sync: it says that everything up to `index` is on this disk (row 37). */
function acknowledge(core: RaftCore, to: NodeId, index: LogIndex): void {
  const { id: from, term } = core;
  const noHint = { reject: false, rejectHintIndex: 0, rejectHintTerm: 0 };
  core.sendAfterSync({ kind: 'append-response', from, to, term, index, ...noHint });
}

/** Names the last entry that may agree: nothing after the previous index, and nothing of a later term than the previous term. */
function refuse(core: RaftCore, request: AppendRequest): void {
  const { id: from, term } = core;
  const { from: to, previousIndex: index, previousTerm } = request;
  const hint = core.log.findConflictByTerm(index, previousTerm);
  const reject = { reject: true, rejectHintIndex: hint.index, rejectHintTerm: hint.term };
  core.send({ kind: 'append-response', from, to, term, index, ...reject });
}

export function handleHeartbeat(core: RaftCore, heartbeat: Heartbeat): void {
  follow(core, heartbeat.from);
  core.log.commitTo(heartbeat.commit);
  const { id: from, term } = core;
  core.send({ kind: 'heartbeat-response', from, to: heartbeat.from, term, readContext: heartbeat.readContext });
}

/** Monotone and idempotent (row 38): a snapshot of what is committed here already is only acknowledged. */
export function handleSnapshot(core: RaftCore, message: InstallSnapshot): void {
  follow(core, message.from);
  const { log } = core;
  const { snapshot } = message;
  if (snapshot.index > log.commit) {
    if (log.matches(snapshot.index, snapshot.term)) log.commitTo(snapshot.index);
    else {
      log.restore(snapshot);
      core.pendingSnapshot = snapshot;
    }
  }
  acknowledge(core, message.from, log.commit);
}
