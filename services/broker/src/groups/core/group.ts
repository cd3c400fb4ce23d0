import { assert } from '@naru/runtime';
import type { GroupMetadataValue } from '../records/group-metadata-value.ts';
import { Generation } from './generation.ts';
import type {
  Claim,
  GroupEffect,
  GroupError,
  GroupState,
  GroupSurroundings,
  Joined,
  JoinRequest,
  Synced,
  SyncRequest,
  Token,
  Written,
} from './group-types.ts';
import { InitialDelay } from './initial-delay.ts';
import { joinFault } from './join-fault.ts';
import {
  electProtocol,
  endOfMembership,
  isSameToGroup,
  type Member,
  newMember,
  noBytes,
  restoredMember,
  sameProtocols,
} from './member.ts';
import { Membership } from './membership.ts';
import { Outbox } from './outbox.ts';

/** A member that waits in its first JoinGroup, whose client may be gone for long: Kafka's bound. */
const newMemberJoinTimeoutMs = 300_000;
/** Handshakes (KIP-394) that were begun and not ended. */
const pendingMembersMax = 10_000;
const never = Number.POSITIVE_INFINITY;

/**
 * The members of one group: Kafka's classic protocol as a state machine without clocks, disks or promises. Each event returns effects.
 *
 * ```
 * Empty ──join──► PreparingRebalance ──all joined──► CompletingRebalance ──assigned, durable──► Stable
 *   ▲                 │    ▲                                │                                     │
 *   └──nobody left────┘    └──────── join, leave, a session that ends, a sync that does not come ─┘
 * ```
 *
 * What the log knows before anybody is told (G2, G8, row 52):
 * 1. All members have joined: the generation grows, and with its members it is written as a reservation (no leader, no assignments).
 * 2. It is replicated: JoinGroup is answered. So no generation is ever given out twice, and a replaced static member is fenced, whoever coordinates next.
 * 3. The leader's SyncGroup brings the assignments: the generation is written again, with them.
 * 4. It is replicated: SyncGroup is answered.
 *
 * An event between 1 and 2 (a member more, one less) starts the next round; whoever still waits in JoinGroup has joined it already. Between 3
 * and 4 it turns the waiting members back with REBALANCE_IN_PROGRESS. A write that is not known to be replicated counts as failed:
 * the members try again, with a higher generation.
 */
export class Group {
  readonly id: string;
  readonly #surroundings: GroupSurroundings;
  readonly #members = new Membership();
  /** Member ids that were given out and have not joined yet, with when they are forgotten. */
  readonly #pending = new Map<string, number>();
  #state: GroupState = 'Empty';
  readonly #generation = new Generation();
  /** The current round of joining waits so long at most. */
  #joinDeadlineMs: number = never;
  /** The first round of a group waits at least so long, for those who start together; undefined in other rounds. */
  #initialDelay: InitialDelay | undefined;
  #syncDeadlineMs: number = never;
  readonly #out = new Outbox();
  /** The write of the reservation, and of the assignments, that the group waits for. */
  #reserving: number | undefined;
  #assigning: { readonly ticket: number; readonly assignments: ReadonlyMap<string, Uint8Array> } | undefined;
  /** Writes that fence a static member's former id, and who waits for them. */
  readonly #fencing = new Map<number, string>();
  #nextDeadlineMs: number = never;

  constructor(id: string, surroundings: GroupSurroundings) {
    this.id = id;
    this.#surroundings = surroundings;
  }

  /** As the log says; everybody gets a new session. A reserved generation is begun again: its members have to join. */
  static restore(id: string, value: GroupMetadataValue, surroundings: GroupSurroundings, nowMs: number): Group {
    const group = new Group(id, surroundings);
    group.#generation.protocolType = value.protocolType;
    group.#generation.number = value.generation;
    group.#generation.protocol = value.protocol ?? undefined;
    for (const one of value.members) group.#members.add(restoredMember(one, value.protocol, nowMs));
    if (value.members.length === 0) return group;
    if (value.leader !== null && group.#members.find(value.leader) !== undefined) {
      group.#generation.leader = value.leader;
      group.#state = 'Stable';
    } else {
      group.#state = 'PreparingRebalance';
      group.#joinDeadlineMs = nowMs + group.#members.rebalanceTimeoutMs;
    }
    group.#refreshNextDeadline();
    return group;
  }

  get state(): GroupState {
    return this.#state;
  }

  /** As tools show it. */
  get name(): GroupState {
    return this.#state;
  }

  get generation(): number {
    return this.#generation.number;
  }

  get protocolType(): string {
    return this.#generation.protocolType;
  }

  get protocol(): string | undefined {
    return this.#generation.protocol;
  }

  get leader(): string | undefined {
    return this.#generation.leader;
  }

  get members(): Iterable<Readonly<Member>> {
    return this.#members;
  }

  get membersCount(): number {
    return this.#members.size;
  }

  /** Nobody is in it, nobody is about to be, and no generation is remembered. */
  get isBlank(): boolean {
    return this.#state === 'Empty' && this.#generation.number === 0 && this.#pending.size === 0;
  }

  /** Nobody is in it: it may become a group of another kind, whatever it was. Ids that were given out and not used yet are void then. */
  get isDeserted(): boolean {
    return this.#state === 'Empty';
  }

  /** `tick` has nothing to do before. */
  get nextDeadlineMs(): number {
    return this.#nextDeadlineMs;
  }

  /** Topics that a member consumes; undefined when that cannot be known. */
  get subscribedTopics(): ReadonlySet<string> | undefined {
    return this.#members.subscribedTopics(this.#generation.protocolType);
  }

  // Joining.

  join(request: JoinRequest, token: Token, nowMs: number): readonly GroupEffect[] {
    const fault = this.#joinFault(request);
    if (fault !== undefined) this.#out.answerJoin(token, { ok: false, error: fault });
    else if (request.memberId === '') this.#joinAsStranger(request, token, nowMs);
    else this.#joinAs(request, token, nowMs);
    return this.#out.take();
  }

  #joinFault(request: JoinRequest): GroupError | undefined {
    if (this.#state === 'Dead') return 'NOT_COORDINATOR';
    const group = { members: this.#members, pending: this.#pending, protocolType: this.#generation.protocolType };
    return joinFault({ request, settings: this.#surroundings.settings, ...group });
  }

  #joinAsStranger(request: JoinRequest, token: Token, nowMs: number): void {
    const { newMemberId } = this.#surroundings;
    if (request.instanceId !== '') {
      const id = newMemberId(request.instanceId);
      const currentId = this.#members.idOfInstance(request.instanceId);
      if (currentId === undefined) this.#admit(id, request, token, nowMs);
      else this.#replaceStatic(this.#members.get(currentId), id, request, token, nowMs);
      return;
    }
    const id = newMemberId(request.clientId);
    if (request.admitWithoutMemberId) {
      this.#admit(id, request, token, nowMs);
    } else if (this.#pending.size >= pendingMembersMax) {
      this.#out.answerJoin(token, { ok: false, error: 'GROUP_MAX_SIZE_REACHED' });
    } else {
      // A client that dies between the two requests leaves nothing behind that others would have to wait for (KIP-394).
      this.#pending.set(id, this.#by(nowMs + request.sessionTimeoutMs));
      this.#out.answerJoin(token, { ok: false, error: 'MEMBER_ID_REQUIRED', memberId: id });
    }
  }

  #joinAs(request: JoinRequest, token: Token, nowMs: number): void {
    const { memberId, instanceId } = request;
    if (instanceId === '' && this.#pending.delete(memberId)) {
      this.#admit(memberId, request, token, nowMs);
      return;
    }
    const fault = this.#members.identityFault(memberId, instanceId);
    if (fault === undefined) this.#rejoin(this.#members.get(memberId), request, token, nowMs);
    else this.#out.answerJoin(token, { ok: false, error: fault });
  }

  #admit(id: string, request: JoinRequest, token: Token, nowMs: number): void {
    if (this.#members.size === 0) this.#generation.protocolType = request.protocolType;
    const member = newMember(id, request);
    member.joinToken = token;
    member.deadlineMs = this.#by(nowMs + newMemberJoinTimeoutMs);
    this.#members.add(member);
    this.#initialDelay?.memberAdded();
    this.#rebalanceOrGoOn(nowMs);
  }

  #rejoin(member: Member, request: JoinRequest, token: Token, nowMs: number): void {
    const isChanged = !sameProtocols(member.protocols, request.protocols);
    this.#updateMember(member, request, nowMs);
    switch (this.#state) {
      case 'PreparingRebalance':
        this.#out.waitInJoin(member, token);
        this.#tryCompleteJoin(nowMs);
        return;
      case 'CompletingRebalance':
        // Lost its answer, or will get it with the others'.
        if (isChanged) this.#startRound(member, token, nowMs);
        else if (this.#reserving !== undefined) this.#out.waitInJoin(member, token);
        else this.#out.answerJoin(token, this.#joined(member));
        return;
      case 'Stable':
        if (isChanged || member.id === this.#generation.leader) this.#startRound(member, token, nowMs);
        else this.#out.answerJoin(token, this.#joined(member));
        return;
      case 'Empty':
      case 'Dead':
        this.#out.answerJoin(token, { ok: false, error: 'UNKNOWN_MEMBER_ID' });
        return;
    }
  }

  #startRound(member: Member, token: Token, nowMs: number): void {
    this.#out.waitInJoin(member, token);
    this.#prepareRebalance(nowMs);
  }

  #updateMember(member: Member, request: JoinRequest, nowMs: number): void {
    member.clientId = request.clientId;
    member.clientHost = request.clientHost;
    member.sessionTimeoutMs = request.sessionTimeoutMs;
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs;
    member.protocols = request.protocols;
    this.#heard(member, nowMs);
  }

  /**
   * A static member has come back under a new id (KIP-345). Its former id is fenced, and the log says so before the answer (row 52):
   * 1. instance i owns partition p as member m1, and hangs; 2. i is started elsewhere and joins: m2 replaces m1; 3. without the write, a new
   * coordinator would load m1, and m1 and m2 would both be told that p is theirs.
   */
  #replaceStatic(former: Member, id: string, request: JoinRequest, token: Token, nowMs: number): void {
    this.#out.answerWaiting(former, 'FENCED_INSTANCE_ID');
    const member = newMember(id, request);
    member.assignment = former.assignment;
    member.isNew = false;
    const isSame = isSameToGroup(former, member, this.#generation.protocolType, this.#generation.protocol);
    this.#members.replace(former, member);
    this.#heard(member, nowMs);
    this.#out.waitInJoin(member, token);
    if (this.#generation.leader === former.id) this.#generation.leader = id;
    switch (this.#state) {
      case 'Stable':
        if (isSame) this.#fencing.set(this.#out.write(this.#assignedValue()), id);
        else this.#prepareRebalance(nowMs);
        return;
      case 'CompletingRebalance':
        this.#prepareRebalance(nowMs);
        return;
      case 'PreparingRebalance':
        this.#tryCompleteJoin(nowMs);
        return;
      case 'Empty':
      case 'Dead':
        assert(false, 'an empty group has no members');
    }
  }

  // Rounds.

  #rebalanceOrGoOn(nowMs: number): void {
    if (this.#state === 'PreparingRebalance') this.#tryCompleteJoin(nowMs);
    else this.#prepareRebalance(nowMs);
  }

  #prepareRebalance(nowMs: number): void {
    const isFirst = this.#state === 'Empty';
    // Whoever waits for an assignment of the generation that is given up joins the next one.
    for (const member of this.#members) this.#out.refuseSyncOf(member, 'REBALANCE_IN_PROGRESS');
    this.#assigning = undefined;
    this.#reserving = undefined;
    this.#fencing.clear();
    this.#syncDeadlineMs = never;
    this.#state = 'PreparingRebalance';
    this.#joinDeadlineMs = this.#by(nowMs + this.#members.rebalanceTimeoutMs);
    const { initialRebalanceDelayMs } = this.#surroundings.settings;
    if (isFirst && initialRebalanceDelayMs > 0) {
      this.#initialDelay = new InitialDelay(initialRebalanceDelayMs, this.#members.rebalanceTimeoutMs, nowMs);
      this.#by(this.#initialDelay.untilMs);
    }
    this.#tryCompleteJoin(nowMs);
  }

  #tryCompleteJoin(nowMs: number): void {
    if (this.#state !== 'PreparingRebalance' || this.#initialDelay !== undefined || this.#pending.size > 0) return;
    for (const { joinToken } of this.#members) if (joinToken === undefined) return;
    this.#completeJoin(nowMs);
  }

  #completeJoin(nowMs: number): void {
    this.#initialDelay = undefined;
    for (const member of [...this.#members]) {
      if (member.joinToken === undefined && member.instanceId === '') this.#remove(member);
    }
    const joined = [...this.#members].filter(({ joinToken }) => joinToken !== undefined);
    if (this.#members.size > 0 && joined.length === 0) {
      // Static members are away until their sessions end; there is nobody to lead.
      this.#joinDeadlineMs = this.#by(nowMs + this.#members.rebalanceTimeoutMs);
      return;
    }
    this.#joinDeadlineMs = never;
    this.#generation.number++;
    if (this.#members.size === 0) {
      this.#becomeEmpty();
      return;
    }
    if (!joined.some(({ id }) => id === this.#generation.leader)) this.#generation.leader = joined[0]?.id;
    // Static members that are away were counted when the others joined; they can have lost the common protocol with nobody.
    this.#generation.protocol = electProtocol([...this.#members]) ?? electProtocol(joined);
    this.#state = 'CompletingRebalance';
    for (const member of this.#members) member.assignment = noBytes;
    this.#reserving = this.#out.write(this.#value(undefined));
  }

  #becomeEmpty(): void {
    this.#state = 'Empty';
    this.#generation.protocol = undefined;
    this.#generation.leader = undefined;
    this.#out.write(this.#value(undefined));
  }

  #generationReserved(failure: GroupError | undefined, nowMs: number): void {
    this.#reserving = undefined;
    const joined = [...this.#members].filter(({ joinToken }) => joinToken !== undefined);
    if (failure !== undefined) {
      this.#reservationFailed(joined, failure, nowMs);
      return;
    }
    for (const member of joined) {
      this.#out.answerJoinOf(member, this.#joined(member));
      member.owesSync = true;
      member.isNew = false;
      this.#heard(member, nowMs);
    }
    this.#syncDeadlineMs = this.#by(nowMs + this.#members.rebalanceTimeoutMs);
  }

  /** Members that are too large together for the log are out: they would come back with the same metadata for ever. */
  #reservationFailed(joined: readonly Member[], failure: GroupError, nowMs: number): void {
    this.#state = 'PreparingRebalance';
    this.#joinDeadlineMs = this.#by(nowMs + this.#members.rebalanceTimeoutMs);
    for (const member of joined) {
      this.#out.answerJoinOf(member, { ok: false, error: failure });
      this.#heard(member, nowMs);
      if (failure === 'MESSAGE_TOO_LARGE') this.#remove(member);
    }
    if (this.#members.size === 0) this.#completeJoin(nowMs);
  }

  // Assignments.

  sync(request: SyncRequest, token: Token, nowMs: number): readonly GroupEffect[] {
    const fault = this.#syncFault(request);
    if (fault !== undefined) {
      this.#out.answerSync(token, { ok: false, error: fault });
      return this.#out.take();
    }
    const member = this.#members.get(request.memberId);
    this.#heard(member, nowMs);
    member.owesSync = false;
    if (this.#state === 'Stable') {
      this.#out.answerSync(token, this.#synced(member));
    } else {
      this.#out.refuseSyncOf(member, 'REBALANCE_IN_PROGRESS');
      member.syncToken = token;
      if (member.id === this.#generation.leader && this.#assigning === undefined) this.#assign(request.assignments);
    }
    return this.#out.take();
  }

  #syncFault(request: SyncRequest): GroupError | undefined {
    const fault = this.#claimFault(request);
    if (fault !== undefined) return fault;
    if (this.#state === 'PreparingRebalance' || this.#reserving !== undefined) return 'REBALANCE_IN_PROGRESS';
    const { protocolType, protocol } = request;
    const isOther =
      (protocolType !== '' && protocolType !== this.#generation.protocolType) ||
      (protocol !== '' && protocol !== this.#generation.protocol);
    return isOther ? 'INCONSISTENT_GROUP_PROTOCOL' : undefined;
  }

  /** Assignments of members that the group does not know are dropped, members that are left out get nothing. */
  #assign(assignments: ReadonlyMap<string, Uint8Array>): void {
    const known = new Map([...assignments].filter(([id]) => this.#members.find(id) !== undefined));
    this.#assigning = { ticket: this.#out.write(this.#value(known)), assignments: known };
  }

  #assignmentsWritten(failure: GroupError | undefined, nowMs: number): void {
    const assignments = this.#assigning?.assignments ?? new Map<string, Uint8Array>();
    this.#assigning = undefined;
    if (failure !== undefined) {
      for (const member of this.#members) this.#out.refuseSyncOf(member, failure);
      this.#prepareRebalance(nowMs);
      return;
    }
    this.#state = 'Stable';
    for (const member of this.#members) {
      member.assignment = assignments.get(member.id) ?? noBytes;
      if (member.syncToken === undefined) continue;
      this.#out.answerSync(member.syncToken, this.#synced(member));
      member.syncToken = undefined;
      this.#heard(member, nowMs);
    }
  }

  /** What became of a write. A ticket that nobody waits for any more belongs to a round that was given up. */
  written(ticket: number, outcome: Written, nowMs: number): readonly GroupEffect[] {
    if (this.#state === 'Dead') return [];
    const failure = failureOf[outcome];
    if (ticket === this.#reserving) this.#generationReserved(failure, nowMs);
    else if (ticket === this.#assigning?.ticket) this.#assignmentsWritten(failure, nowMs);
    else this.#fenced(ticket, failure);
    return this.#out.take();
  }

  #fenced(ticket: number, failure: GroupError | undefined): void {
    const member = this.#members.find(this.#fencing.get(ticket) ?? '');
    this.#fencing.delete(ticket);
    if (member === undefined || this.#state !== 'Stable') return;
    const answer = failure === undefined ? this.#joined(member) : ({ ok: false, error: failure } as const);
    this.#out.answerJoinOf(member, answer);
  }

  // Staying and going.

  /** Undefined: all is well. */
  heartbeat(claim: Claim, nowMs: number): GroupError | undefined {
    // It has joined the generation that is being written, and speaks of its last one: that is over, but the membership is not.
    const isJoining = this.#reserving !== undefined && this.#members.find(claim.memberId)?.joinToken !== undefined;
    const known = isJoining ? this.#members.identityFault(claim.memberId, claim.instanceId) : this.#claimFault(claim);
    if (known !== undefined) return known;
    this.#heard(this.#members.get(claim.memberId), nowMs);
    return isJoining || this.#state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : undefined;
  }

  /** A member is answered what it asked when the group was one of another kind: its client counts its session from now on. */
  answered(memberId: string, nowMs: number): void {
    const member = this.#members.find(memberId);
    if (member !== undefined) this.#heard(member, nowMs);
  }

  /** Whether this is a current member of the current generation. Changes nothing. */
  checkClaim(claim: Claim): GroupError | undefined {
    return this.#claimFault(claim);
  }

  /** Undefined: it is out, or was never more than a pending id. */
  leave(memberId: string, instanceId: string, nowMs: number): { error?: GroupError; effects: readonly GroupEffect[] } {
    if (this.#state === 'Dead') return { error: 'NOT_COORDINATOR', effects: [] };
    if (this.#pending.delete(memberId)) {
      this.#tryCompleteJoin(nowMs);
      return { effects: this.#out.take() };
    }
    const id = memberId === '' ? (this.#members.idOfInstance(instanceId) ?? '') : memberId;
    const error = this.#members.identityFault(id, instanceId);
    if (error !== undefined) return { error, effects: [] };
    this.#drop(this.#members.get(id), nowMs);
    return { effects: this.#out.take() };
  }

  #drop(member: Member, nowMs: number): void {
    this.#out.answerWaiting(member, 'UNKNOWN_MEMBER_ID');
    this.#remove(member);
    this.#rebalanceOrGoOn(nowMs);
  }

  /**
   * Whether a commit of offsets may be written (G4). Without a member id and generation it is one from outside, which a group with members
   * refuses: its members would overwrite each other.
   */
  checkCommit(claim: Claim, nowMs: number): GroupError | undefined {
    if (this.#state === 'Dead') return 'NOT_COORDINATOR';
    const isFromOutside = claim.generation < 0 && claim.memberId === '' && claim.instanceId === '';
    if (isFromOutside && this.#members.size === 0) return undefined;
    if (isFromOutside) return 'UNKNOWN_MEMBER_ID';
    if (this.isBlank && claim.generation >= 0) return 'ILLEGAL_GENERATION';
    const fault = this.#claimFault(claim);
    if (fault !== undefined) return fault;
    // The partitions are about to be given out anew: what the old owner says may come too late.
    if (this.#state === 'CompletingRebalance') return 'REBALANCE_IN_PROGRESS';
    this.#heard(this.#members.get(claim.memberId), nowMs);
    return undefined;
  }

  // Time.

  tick(nowMs: number): readonly GroupEffect[] {
    if (nowMs < this.#nextDeadlineMs || this.#state === 'Dead') return [];
    for (const [id, deadlineMs] of [...this.#pending]) if (deadlineMs <= nowMs) this.#pending.delete(id);
    for (const member of [...this.#members]) {
      // The end of another one's session may have ended the round, and this one's membership with it.
      if (this.#members.find(member.id) === member && endOfMembership(member) <= nowMs) this.#drop(member, nowMs);
    }
    this.#tickRounds(nowMs);
    this.#refreshNextDeadline();
    return this.#out.take();
  }

  #tickRounds(nowMs: number): void {
    if (this.#initialDelay?.isOver(nowMs)) this.#initialDelay = undefined;
    this.#tryCompleteJoin(nowMs);
    if (this.#state === 'PreparingRebalance' && this.#joinDeadlineMs <= nowMs) this.#completeJoin(nowMs);
    if (this.#syncDeadlineMs > nowMs) return;
    this.#syncDeadlineMs = never;
    // They were told of a generation, and never asked what is theirs.
    const silent = [...this.#members].filter(({ owesSync }) => owesSync);
    for (const member of silent) if (this.#members.find(member.id) === member) this.#drop(member, nowMs);
  }

  #refreshNextDeadline(): void {
    let next = Math.min(this.#syncDeadlineMs, this.#initialDelay?.untilMs ?? never);
    if (this.#state === 'PreparingRebalance') next = Math.min(next, this.#joinDeadlineMs);
    for (const deadlineMs of this.#pending.values()) next = Math.min(next, deadlineMs);
    for (const member of this.#members) next = Math.min(next, endOfMembership(member));
    this.#nextDeadlineMs = next;
  }

  /** Remembers that `tick` is wanted at that time. */
  #by(deadlineMs: number): number {
    this.#nextDeadlineMs = Math.min(this.#nextDeadlineMs, deadlineMs);
    return deadlineMs;
  }

  #heard(member: Member, nowMs: number): void {
    member.deadlineMs = this.#by(nowMs + member.sessionTimeoutMs);
  }

  // The end.

  /**
   * The broker does not coordinate it any more, or the group is deleted, or one of another kind: whoever waits is told, and nothing is served any more.
   */
  end(error: 'NOT_COORDINATOR' | 'UNKNOWN_MEMBER_ID' | 'REBALANCE_IN_PROGRESS'): readonly GroupEffect[] {
    for (const member of this.#members) this.#out.answerWaiting(member, error);
    this.#state = 'Dead';
    this.#nextDeadlineMs = never;
    return this.#out.take();
  }

  #remove(member: Member): void {
    this.#members.remove(member);
    if (this.#generation.leader === member.id) this.#generation.leader = undefined;
  }

  #claimFault({ memberId, instanceId, generation }: Claim): GroupError | undefined {
    if (this.#state === 'Dead') return 'NOT_COORDINATOR';
    const fault = this.#members.identityFault(memberId, instanceId);
    if (fault !== undefined) return fault;
    return generation === this.#generation.number ? undefined : 'ILLEGAL_GENERATION';
  }

  #assignedValue(): GroupMetadataValue {
    return this.#value(new Map([...this.#members].map(({ id, assignment }) => [id, assignment])));
  }

  /** `assignments` undefined: a reservation. */
  #value(assignments: ReadonlyMap<string, Uint8Array> | undefined): GroupMetadataValue {
    return this.#generation.value(this.#members, assignments, this.#surroundings.wallMs());
  }

  #joined(member: Member): Joined {
    return this.#generation.joined(member, this.#members, this.#state === 'Stable');
  }

  #synced(member: Member): Synced {
    return this.#generation.synced(member);
  }
}

const failureOf = {
  committed: undefined,
  unknown: 'COORDINATOR_NOT_AVAILABLE',
  'too-large': 'MESSAGE_TOO_LARGE',
} as const;
