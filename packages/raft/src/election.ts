import { assert } from '@naru/runtime';
import type { RaftCore } from './core.ts';
import { isVoter, membersOf, voteResult } from './quorum.ts';
import { becomeLeader } from './replication.ts';
import type { NodeId, VoteRequest, VoteResponse } from './types.ts';

/** Followers and candidates: campaign when nobody led for long enough. */
export function tickElection(core: RaftCore): void {
  core.electionElapsed += 1;
  if (core.electionElapsed < core.electionDue) return;
  core.electionElapsed = 0;
  if (mayCampaign(core)) campaign(core, 'pre-vote');
}

/** Only voters, and nobody in the middle of replacing its whole state. */
export function mayCampaign(core: RaftCore): boolean {
  return core.role !== 'leader' && isVoter(core.log.configuration, core.id) && core.pendingSnapshot === undefined;
}

/**
 * Pre-vote (thesis §9.6) asks whether an election could be won before the term is raised: a node that was cut off comes
 * back without forcing the others into an election (row 35). A transfer skips it, for the leader itself wants the election.
 */
export function campaign(core: RaftCore, kind: 'pre-vote' | 'vote', transfer = false): void {
  assert(mayCampaign(core), 'only a voter that does not lead campaigns');
  core.reset(kind === 'vote' ? core.term + 1 : core.term);
  if (kind === 'pre-vote') {
    core.role = 'pre-candidate';
    requestVotes(core, kind, transfer);
    recordVote(core, core.id, true);
    return;
  }
  core.role = 'candidate';
  core.vote = core.id;
  // The own vote is counted in `ownVoteDurable`, after the sync: row 37.
  requestVotes(core, kind, transfer);
}

function requestVotes(core: RaftCore, kind: 'pre-vote' | 'vote', transfer: boolean): void {
  const { lastIndex, lastTerm, configuration } = core.log;
  const term = kind === 'pre-vote' ? core.term + 1 : core.term;
  for (const to of membersOf(configuration)) {
    if (to === core.id || !isVoter(configuration, to)) continue;
    const request: VoteRequest = { kind, from: core.id, to, term, lastIndex, lastTerm, transfer };
    // A real request waits for the sync, or this could happen: 1. the log's end is not durable, the request praises it;
    // 2. crash, the end and the own vote are gone; 3. the same term again, and the late grants for the longer log count for the shorter.
    if (kind === 'pre-vote') core.send(request);
    else core.sendAfterSync(request);
  }
}

/** The candidate's vote for itself is on its disk. */
export function ownVoteDurable(core: RaftCore): void {
  if (core.role === 'candidate') recordVote(core, core.id, true);
}

/** A leader that is alive protects its lease (row 35): who heard it lately does not help anybody else, unless it asked for that. */
export function refusesByLease(core: RaftCore, request: VoteRequest): boolean {
  return !request.transfer && core.leader !== 0 && core.electionElapsed < core.options.electionTicks;
}

export function handleVoteRequest(core: RaftCore, request: VoteRequest): void {
  const { kind, from, term, lastIndex, lastTerm } = request;
  const free =
    core.vote === from || (core.vote === 0 && core.leader === 0) || (kind === 'pre-vote' && term > core.term);
  const granted = free && core.log.isUpToDate(lastIndex, lastTerm);
  if (kind === 'pre-vote') {
    // A grant speaks of the term asked for, a refusal tells the own one.
    const answer = { kind: 'pre-vote-response', from: core.id, to: from, reject: !granted } as const;
    core.send({ ...answer, term: granted ? term : core.term });
    return;
  }
  if (granted) {
    core.vote = from;
    core.electionElapsed = 0;
  }
  core.sendAfterSync({ kind: 'vote-response', from: core.id, to: from, term: core.term, reject: !granted });
}

export function handleVoteResponse(core: RaftCore, response: VoteResponse): void {
  const awaited =
    response.kind === 'vote-response'
      ? core.role === 'candidate'
      : core.role === 'pre-candidate' && (response.reject || response.term === core.term + 1);
  if (awaited) recordVote(core, response.from, !response.reject);
}

function recordVote(core: RaftCore, from: NodeId, granted: boolean): void {
  if (!core.votes.has(from)) core.votes.set(from, granted);
  const result = voteResult(core.log.configuration, core.votes);
  if (result === 'lost') core.becomeFollower(core.term, 0);
  if (result !== 'won') return;
  if (core.role === 'pre-candidate') campaign(core, 'vote');
  else becomeLeader(core);
}
