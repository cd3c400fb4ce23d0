import { assert } from '@naru/runtime';
import type { GroupMetadataValue } from '../records/group-metadata-value.ts';
import type {
  Claim,
  GroupEffect,
  GroupError,
  GroupState,
  GroupSurroundings,
  JoinRequest,
  SyncRequest,
  Token,
  Written,
} from './group-types.ts';
import { joinFault } from './join-fault.ts';
import { endOfMembership, isSameToGroup, type Member, newMember, sameProtocols } from './member.ts';
import { Membership } from './membership.ts';
import { NextDeadline } from './next-deadline.ts';
import { Outbox } from './outbox.ts';
import { Rounds } from './rounds.ts';

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
 * Here is who is in it: joining, staying, going. What they come to together is in `rounds`.
 */
export class Group {
  readonly id: string;
  readonly #surroundings: GroupSurroundings;
  readonly #members = new Membership();
  /** Member ids that were given out and have not joined yet, with when they are forgotten. */
  readonly #pending = new Map<string, number>();
  readonly #out = new Outbox();
  readonly #deadline = new NextDeadline();
  readonly #rounds: Rounds;

  constructor(id: string, surroundings: GroupSurroundings) {
    this.id = id;
    this.#surroundings = surroundings;
    const parts = { members: this.#members, handshakes: this.#pending, out: this.#out, deadline: this.#deadline };
    this.#rounds = new Rounds({ surroundings, ...parts });
  }

  /** As the log says; everybody gets a new session. A reserved generation is begun again: its members have to join. */
  static restore(id: string, value: GroupMetadataValue, surroundings: GroupSurroundings, nowMs: number): Group {
    const group = new Group(id, surroundings);
    group.#rounds.restore(value, nowMs);
    group.#refreshNextDeadline();
    return group;
  }

  get state(): GroupState {
    return this.#rounds.state;
  }

  /** As tools show it. */
  get name(): GroupState {
    return this.#rounds.state;
  }

  get generation(): number {
    return this.#rounds.generation.number;
  }

  get protocolType(): string {
    return this.#rounds.generation.protocolType;
  }

  get protocol(): string | undefined {
    return this.#rounds.generation.protocol;
  }

  get leader(): string | undefined {
    return this.#rounds.generation.leader;
  }

  get members(): Iterable<Readonly<Member>> {
    return this.#members;
  }

  get membersCount(): number {
    return this.#members.size;
  }

  /** Nobody is in it, nobody is about to be, and no generation is remembered. */
  get isBlank(): boolean {
    return this.#rounds.state === 'Empty' && this.#rounds.generation.number === 0 && this.#pending.size === 0;
  }

  /** Nobody is in it: it may become a group of another kind, whatever it was. Ids that were given out and not used yet are void then. */
  get isDeserted(): boolean {
    return this.#rounds.state === 'Empty';
  }

  /** `tick` has nothing to do before. */
  get nextDeadlineMs(): number {
    return this.#deadline.atMs;
  }

  /** Topics that a member consumes; undefined when that cannot be known. */
  get subscribedTopics(): ReadonlySet<string> | undefined {
    return this.#members.subscribedTopics(this.#rounds.generation.protocolType);
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
    if (this.#rounds.state === 'Dead') return 'NOT_COORDINATOR';
    const group = {
      members: this.#members,
      pending: this.#pending,
      protocolType: this.#rounds.generation.protocolType,
    };
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
      this.#pending.set(id, this.#deadline.by(nowMs + request.sessionTimeoutMs));
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
    if (this.#members.size === 0) this.#rounds.generation.protocolType = request.protocolType;
    const member = newMember(id, request);
    member.joinToken = token;
    member.deadlineMs = this.#deadline.by(nowMs + newMemberJoinTimeoutMs);
    this.#members.add(member);
    this.#rounds.memberAdded();
    this.#rounds.rebalanceOrGoOn(nowMs);
  }

  #rejoin(member: Member, request: JoinRequest, token: Token, nowMs: number): void {
    const isChanged = !sameProtocols(member.protocols, request.protocols);
    this.#updateMember(member, request, nowMs);
    switch (this.#rounds.state) {
      case 'PreparingRebalance':
        this.#out.waitInJoin(member, token);
        this.#rounds.tryCompleteJoin(nowMs);
        return;
      case 'CompletingRebalance':
        // Lost its answer, or will get it with the others'.
        if (isChanged) this.#startRound(member, token, nowMs);
        else if (this.#rounds.isReserving) this.#out.waitInJoin(member, token);
        else this.#out.answerJoin(token, this.#rounds.joined(member));
        return;
      case 'Stable':
        if (isChanged || member.id === this.#rounds.generation.leader) this.#startRound(member, token, nowMs);
        else this.#out.answerJoin(token, this.#rounds.joined(member));
        return;
      case 'Empty':
      case 'Dead':
        this.#out.answerJoin(token, { ok: false, error: 'UNKNOWN_MEMBER_ID' });
        return;
    }
  }

  #startRound(member: Member, token: Token, nowMs: number): void {
    this.#out.waitInJoin(member, token);
    this.#rounds.prepareRebalance(nowMs);
  }

  #updateMember(member: Member, request: JoinRequest, nowMs: number): void {
    member.clientId = request.clientId;
    member.clientHost = request.clientHost;
    member.sessionTimeoutMs = request.sessionTimeoutMs;
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs;
    member.protocols = request.protocols;
    this.#deadline.heard(member, nowMs);
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
    const isSame = isSameToGroup(
      former,
      member,
      this.#rounds.generation.protocolType,
      this.#rounds.generation.protocol,
    );
    this.#members.replace(former, member);
    this.#deadline.heard(member, nowMs);
    this.#out.waitInJoin(member, token);
    if (this.#rounds.generation.leader === former.id) this.#rounds.generation.leader = id;
    switch (this.#rounds.state) {
      case 'Stable':
        if (isSame) this.#rounds.fence(id);
        else this.#rounds.prepareRebalance(nowMs);
        return;
      case 'CompletingRebalance':
        this.#rounds.prepareRebalance(nowMs);
        return;
      case 'PreparingRebalance':
        this.#rounds.tryCompleteJoin(nowMs);
        return;
      case 'Empty':
      case 'Dead':
        assert(false, 'an empty group has no members');
    }
  }

  // Assignments.

  sync(request: SyncRequest, token: Token, nowMs: number): readonly GroupEffect[] {
    const fault = this.#syncFault(request);
    if (fault !== undefined) {
      this.#out.answerSync(token, { ok: false, error: fault });
      return this.#out.take();
    }
    const member = this.#members.get(request.memberId);
    this.#deadline.heard(member, nowMs);
    member.owesSync = false;
    if (this.#rounds.state === 'Stable') {
      this.#out.answerSync(token, this.#rounds.synced(member));
    } else {
      this.#out.refuseSyncOf(member, 'REBALANCE_IN_PROGRESS');
      member.syncToken = token;
      if (member.id === this.#rounds.generation.leader) this.#rounds.assign(request.assignments);
    }
    return this.#out.take();
  }

  #syncFault(request: SyncRequest): GroupError | undefined {
    const fault = this.#claimFault(request);
    if (fault !== undefined) return fault;
    if (this.#rounds.state === 'PreparingRebalance' || this.#rounds.isReserving) return 'REBALANCE_IN_PROGRESS';
    const { protocolType, protocol } = request;
    const isOther =
      (protocolType !== '' && protocolType !== this.#rounds.generation.protocolType) ||
      (protocol !== '' && protocol !== this.#rounds.generation.protocol);
    return isOther ? 'INCONSISTENT_GROUP_PROTOCOL' : undefined;
  }

  /** What became of a write. A ticket that nobody waits for any more belongs to a round that was given up. */
  written(ticket: number, outcome: Written, nowMs: number): readonly GroupEffect[] {
    this.#rounds.written(ticket, outcome, nowMs);
    return this.#out.take();
  }

  // Staying and going.

  /** Undefined: all is well. */
  heartbeat(claim: Claim, nowMs: number): GroupError | undefined {
    // It has joined the generation that is being written, and speaks of its last one: that is over, but the membership is not.
    const isJoining = this.#rounds.isReserving && this.#members.find(claim.memberId)?.joinToken !== undefined;
    const known = isJoining ? this.#members.identityFault(claim.memberId, claim.instanceId) : this.#claimFault(claim);
    if (known !== undefined) return known;
    this.#deadline.heard(this.#members.get(claim.memberId), nowMs);
    return isJoining || this.#rounds.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : undefined;
  }

  /** A member is answered what it asked when the group was one of another kind: its client counts its session from now on. */
  answered(memberId: string, nowMs: number): void {
    const member = this.#members.find(memberId);
    if (member !== undefined) this.#deadline.heard(member, nowMs);
  }

  /** Whether this is a current member of the current generation. Changes nothing. */
  checkClaim(claim: Claim): GroupError | undefined {
    return this.#claimFault(claim);
  }

  /** Undefined: it is out, or was never more than a pending id. */
  leave(memberId: string, instanceId: string, nowMs: number): { error?: GroupError; effects: readonly GroupEffect[] } {
    if (this.#rounds.state === 'Dead') return { error: 'NOT_COORDINATOR', effects: [] };
    if (this.#pending.delete(memberId)) {
      this.#rounds.tryCompleteJoin(nowMs);
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
    this.#rounds.remove(member);
    this.#rounds.rebalanceOrGoOn(nowMs);
  }

  /**
   * Whether a commit of offsets may be written (G4). Without a member id and generation it is one from outside, which a group with members
   * refuses: its members would overwrite each other.
   */
  checkCommit(claim: Claim, nowMs: number): GroupError | undefined {
    if (this.#rounds.state === 'Dead') return 'NOT_COORDINATOR';
    const isFromOutside = claim.generation < 0 && claim.memberId === '' && claim.instanceId === '';
    if (isFromOutside && this.#members.size === 0) return undefined;
    if (isFromOutside) return 'UNKNOWN_MEMBER_ID';
    if (this.isBlank && claim.generation >= 0) return 'ILLEGAL_GENERATION';
    const fault = this.#claimFault(claim);
    if (fault !== undefined) return fault;
    // The partitions are about to be given out anew: what the old owner says may come too late.
    if (this.#rounds.state === 'CompletingRebalance') return 'REBALANCE_IN_PROGRESS';
    this.#deadline.heard(this.#members.get(claim.memberId), nowMs);
    return undefined;
  }

  // Time.

  tick(nowMs: number): readonly GroupEffect[] {
    if (nowMs < this.#deadline.atMs || this.#rounds.state === 'Dead') return [];
    for (const [id, deadlineMs] of [...this.#pending]) if (deadlineMs <= nowMs) this.#pending.delete(id);
    for (const member of [...this.#members]) {
      // The end of another one's session may have ended the round, and this one's membership with it.
      if (this.#members.find(member.id) === member && endOfMembership(member) <= nowMs) this.#drop(member, nowMs);
    }
    for (const member of this.#rounds.tick(nowMs)) {
      if (this.#members.find(member.id) === member) this.#drop(member, nowMs);
    }
    this.#refreshNextDeadline();
    return this.#out.take();
  }

  #refreshNextDeadline(): void {
    let next = this.#rounds.nextDeadlineMs;
    for (const deadlineMs of this.#pending.values()) next = Math.min(next, deadlineMs);
    for (const member of this.#members) next = Math.min(next, endOfMembership(member));
    this.#deadline.set(next);
  }

  // The end.

  /**
   * The broker does not coordinate it any more, or the group is deleted, or one of another kind: whoever waits is told, and nothing is served any more.
   */
  end(error: 'NOT_COORDINATOR' | 'UNKNOWN_MEMBER_ID' | 'REBALANCE_IN_PROGRESS'): readonly GroupEffect[] {
    for (const member of this.#members) this.#out.answerWaiting(member, error);
    this.#rounds.end();
    this.#deadline.set(never);
    return this.#out.take();
  }

  #claimFault({ memberId, instanceId, generation }: Claim): GroupError | undefined {
    if (this.#rounds.state === 'Dead') return 'NOT_COORDINATOR';
    const fault = this.#members.identityFault(memberId, instanceId);
    if (fault !== undefined) return fault;
    return generation === this.#rounds.generation.number ? undefined : 'ILLEGAL_GENERATION';
  }
}
