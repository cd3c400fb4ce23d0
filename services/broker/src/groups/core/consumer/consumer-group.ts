import { isDeepStrictEqual } from 'node:util';
import type { ConsumerGroupValue, ConsumerMemberValue } from '../../records/consumer-group-values.ts';
import type { ConsumerGroupRecord } from '../../records/group-record.ts';
import type { Claim } from '../group-types.ts';
import {
  awayEpoch,
  ConsumerGroupState,
  type CurrentAssignment,
  currentRecord,
  type GroupMember,
  memberRecord,
  memberStates,
  noMetadata,
  nothingAssigned,
  targetRecord,
} from './consumer-group-state.ts';
import type {
  ConsumerGroupError,
  ConsumerGroupSettings,
  ConsumerGroupStateName,
  Decision,
  HeartbeatAnswer,
  MemberHeartbeat,
  TopicCatalog,
} from './consumer-group-types.ts';
import { MemberDeadlines } from './member-deadlines.ts';
import { isSameSet, noPartitions, type PartitionSet } from './partition-set.ts';
import { reconcile } from './reconciliation.ts';
import { outdatedHash, Targets } from './targets.ts';
import { topicPattern } from './topic-pattern.ts';

/** Who takes a step: as it was so far, and the static member under another id whose place it takes (row 52). */
export interface Caller {
  readonly before: GroupMember;
  readonly former?: GroupMember;
}

const unknownMember = { metadata: noMetadata, target: noPartitions, current: nothingAssigned };
const leaveEpoch = -1;

/**
 * A group whose coordinator assigns (KIP-848), as a state machine without clocks, disks or promises. Each event decides on records; the group changes
 * only when they are applied, which the caller does when they are in the log, and it answers when they are replicated. So nothing that a member was
 * told is unknown to the next coordinator (G2, G8).
 *
 * Three epochs. The group's grows when members, subscriptions or topics change. The target assignment is computed for it at the next heartbeat of
 * anybody. Each member walks to the target at its own pace (`reconcile`), and its epoch follows: what it writes carries this epoch, so that who was
 * put out is refused (G4).
 *
 * Deadlines are not in the log: whoever loads the group gives every member a new session.
 */
export class ConsumerGroup {
  readonly id: string;
  readonly state = new ConsumerGroupState();
  readonly catalog: TopicCatalog;
  readonly deadlines = new MemberDeadlines();
  /** Ids that were given to members of the classic protocol who have not joined with them yet, and when they are forgotten. */
  readonly handshakes = new Map<string, number>();
  readonly #settings: ConsumerGroupSettings;
  readonly #targets: Targets;
  /** Of the last heartbeat of each member. */
  readonly #sequences = new Map<string, number>();
  /** Changes of members' subscriptions. */
  #membersVersion = 0;

  constructor(id: string, settings: ConsumerGroupSettings, catalog: TopicCatalog) {
    this.id = id;
    this.catalog = catalog;
    this.#settings = settings;
    this.#targets = new Targets(settings.assignors, catalog);
  }

  /** As the log says; everybody gets a new session. */
  static restore(
    id: string,
    records: readonly ConsumerGroupRecord[],
    settings: ConsumerGroupSettings,
    catalog: TopicCatalog,
    nowMs: number,
  ): ConsumerGroup {
    const group = new ConsumerGroup(id, settings, catalog);
    group.apply(records, nowMs);
    for (const { id: memberId, metadata } of group.state.members.values()) group.heard(memberId, metadata, nowMs);
    return group;
  }

  get name(): ConsumerGroupStateName {
    const { members, epoch, targetEpoch } = this.state;
    if (members.size === 0) return 'Empty';
    if (epoch > targetEpoch) return 'Assigning';
    const isStable = ({ current }: GroupMember): boolean =>
      current.state === memberStates.stable && current.epoch === targetEpoch;
    return [...members.values()].every(isStable) ? 'Stable' : 'Reconciling';
  }

  get membersCount(): number {
    return this.state.members.size;
  }

  get assignor(): string {
    return this.#targets.assignorOf([...this.state.members.values()].map(({ metadata }) => metadata)).name;
  }

  get subscribedTopics(): ReadonlySet<string> {
    return this.#targets.topicsOf(this.state.members.values());
  }

  /** `tick` has nothing to do before. */
  get nextDeadlineMs(): number {
    return this.deadlines.nextMs;
  }

  /** The records are in the log, or were read from it. */
  apply(records: readonly ConsumerGroupRecord[], nowMs: number): void {
    for (const record of records) {
      this.state.apply(record);
      if (record.kind === 'consumer-member') this.#membersVersion++;
      if ('member' in record) this.#watchRevocation(record.member, nowMs);
    }
  }

  #watchRevocation(id: string, nowMs: number): void {
    const member = this.state.members.get(id);
    if (member?.current.state !== memberStates.unrevoked) this.deadlines.clear('revocation', id);
    else if (!this.deadlines.has('revocation', id)) {
      this.deadlines.set('revocation', id, nowMs + member.metadata.rebalanceTimeoutMs);
    }
  }

  // Heartbeats.

  heartbeat(request: MemberHeartbeat, nowMs: number): Decision<HeartbeatAnswer> {
    const fault = this.#fault(request);
    if (fault !== undefined) return { ok: false, error: fault };
    const caller = this.callerOf(request.memberId, request.instanceId);
    const { before } = caller;
    const metadata = updated(before.metadata, request);
    this.heard(request.memberId, metadata, nowMs);
    this.#sequences.set(request.memberId, request.sequence);
    // An older heartbeat that comes late must not say that partitions were given up which came after it.
    const isOwnEpoch = request.memberEpoch === before.current.epoch || request.memberEpoch === 0;
    const { records, current } = this.step(caller, metadata, isOwnEpoch ? request.owned : undefined);
    const isNews =
      request.memberEpoch === 0 ||
      !isSameSet(current.assigned, before.current.assigned) ||
      (request.owned !== undefined && !isSameSet(request.owned, current.assigned));
    const assignment = isNews ? current.assigned : undefined;
    return { ok: true, records, answer: { memberId: before.id, memberEpoch: current.epoch, assignment } };
  }

  /**
   * What follows when a member says `metadata` of itself, and that it holds `owned` (undefined: it did not say): for the group, and for what the member
   * has. Of whichever protocol it is.
   */
  step(
    { before, former }: Caller,
    metadata: ConsumerMemberValue,
    owned: PartitionSet | undefined,
  ): { readonly records: readonly ConsumerGroupRecord[]; readonly current: CurrentAssignment } {
    const member = { ...before, metadata };
    const isNew = before.metadata === unknownMember.metadata;
    const isMoved = isNew || former !== undefined;
    const records: ConsumerGroupRecord[] = [];
    if (former !== undefined) {
      records.push(...this.#tombstones(former.id), targetRecord(this.id, member.id, member.target));
    }
    if (isMoved || !isDeepStrictEqual(before.metadata, metadata)) records.push(memberRecord(this.id, member));
    const members = [...this.#membersWithout([member.id, former?.id]), member];
    const epoch = this.#nextEpoch(isNew || !isSameSubscription(before.metadata, metadata), members);
    if (epoch !== undefined) records.push({ kind: 'consumer-group', group: this.id, value: epoch });
    const targetEpoch = epoch?.epoch ?? this.state.epoch;
    const targets = targetEpoch === this.state.targetEpoch ? undefined : this.#targets.compute(members);
    if (targets !== undefined) records.push(...this.#targetRecords(members, targets, targetEpoch));
    const current = reconcile({
      current: member.current,
      target: targets?.get(member.id) ?? member.target,
      targetEpoch,
      owned,
      isFree: (partition) => [undefined, member.id, former?.id].includes(this.state.ownerOf(partition)),
    });
    if (current !== member.current || isMoved) records.push(currentRecord(this.id, member.id, current));
    return { records, current };
  }

  #fault(request: MemberHeartbeat): ConsumerGroupError | undefined {
    const { memberId, memberEpoch, instanceId, assignor, topicPattern: pattern, sequence } = request;
    const { assignors } = this.#settings;
    // It was overtaken by the member's next one: what it says about partitions may be over.
    if (sequence !== 0 && sequence < (this.#sequences.get(memberId) ?? 0)) return 'STALE_MEMBER_EPOCH';
    if (assignor !== undefined && assignor !== '' && !assignors.includes(assignor)) return 'UNSUPPORTED_ASSIGNOR';
    const isPattern = pattern === undefined || pattern === '' || topicPattern(pattern) !== undefined;
    if (!isPattern) return 'INVALID_REGULAR_EXPRESSION';
    if (memberEpoch !== 0) return this.#epochFault(request);
    const holderId = instanceId === '' ? undefined : this.state.idOfInstance(instanceId);
    const holder = this.state.members.get(holderId ?? '');
    // One of the classic protocol says nothing when it is stopped: it is replaced at once, as there (KIP-345).
    const isHeld = holder !== undefined && holder.metadata.classic === null && holder.current.epoch !== awayEpoch;
    if (isHeld && holderId !== memberId) return 'UNRELEASED_INSTANCE_ID';
    return this.isFullFor(memberId, instanceId) ? 'GROUP_MAX_SIZE_REACHED' : undefined;
  }

  /** Whoever takes a static member's place needs none of its own. */
  isFullFor(memberId: string, instanceId: string): boolean {
    const { state } = this;
    const hasPlace = state.members.has(memberId) || state.idOfInstance(instanceId) !== undefined;
    return !hasPlace && state.members.size >= this.#settings.membersMax;
  }

  /** The epoch before the last one is the member's, too, when the answer with the last one got lost. */
  #epochFault({ memberId, memberEpoch, instanceId, owned }: MemberHeartbeat): ConsumerGroupError | undefined {
    const fault = this.identityFault(memberId, instanceId);
    if (fault !== undefined) return fault;
    const { current, metadata } = this.#member(memberId);
    if (metadata.classic !== null) return 'UNKNOWN_MEMBER_ID';
    if (memberEpoch === current.epoch) return undefined;
    const isBehind = memberEpoch < current.epoch && memberEpoch === current.previousEpoch;
    return isBehind && (owned === undefined || owned.isSubsetOf(current.assigned)) ? undefined : 'FENCED_MEMBER_EPOCH';
  }

  identityFault(memberId: string, instanceId: string): 'UNKNOWN_MEMBER_ID' | 'FENCED_INSTANCE_ID' | undefined {
    const holderId = instanceId === '' ? undefined : this.state.idOfInstance(instanceId);
    if (holderId !== undefined && holderId !== memberId) return 'FENCED_INSTANCE_ID';
    return this.state.members.has(memberId) ? undefined : 'UNKNOWN_MEMBER_ID';
  }

  callerOf(memberId: string, instanceId: string): Caller {
    const known = this.state.members.get(memberId);
    if (known !== undefined) return { before: known };
    const former = this.state.members.get(this.state.idOfInstance(instanceId) ?? '');
    if (former === undefined) return { before: { ...unknownMember, id: memberId } };
    const current = { ...nothingAssigned, assigned: former.current.assigned };
    return { before: { ...former, id: memberId, current }, former };
  }

  /** Undefined: the members, what they subscribe to and these topics are what the last epoch began with. */
  #nextEpoch(isChanged: boolean, members: readonly GroupMember[]): ConsumerGroupValue | undefined {
    const hash = this.#targets.hash(members, isChanged ? undefined : this.#membersVersion);
    if (!isChanged && hash === this.state.metadataHash) return undefined;
    return { epoch: this.state.epoch + 1, metadataHash: hash };
  }

  #targetRecords(
    members: readonly GroupMember[],
    targets: ReadonlyMap<string, PartitionSet>,
    assignmentEpoch: number,
  ): readonly ConsumerGroupRecord[] {
    const changed = members.flatMap(({ id, target }) => {
      const share = targets.get(id) ?? noPartitions;
      return isSameSet(share, target) ? [] : [targetRecord(this.id, id, share)];
    });
    return [...changed, { kind: 'target-epoch', group: this.id, value: { assignmentEpoch } }];
  }

  // Going.

  /** `memberEpoch` -1: for good; -2: a static member for a while, whose partitions wait for it until its session ends. */
  leave(memberId: string, instanceId: string, memberEpoch: number): Decision<HeartbeatAnswer> {
    const id = memberId === '' ? (this.state.idOfInstance(instanceId) ?? '') : memberId;
    const fault = this.identityFault(id, instanceId);
    if (fault !== undefined) return { ok: false, error: fault };
    const answer = { memberId: id, memberEpoch, assignment: undefined };
    const member = this.#member(id);
    if (memberEpoch === leaveEpoch || member.metadata.instanceId === null) {
      return { ok: true, records: this.#removal([id]), answer: { ...answer, memberEpoch: leaveEpoch } };
    }
    const { current } = member;
    const away = { ...nothingAssigned, assigned: current.assigned, epoch: awayEpoch, previousEpoch: current.epoch };
    return { ok: true, records: [currentRecord(this.id, id, away)], answer };
  }

  /** Puts out those whose session has ended, and those who did not give up in time what they had to. */
  tick(nowMs: number): readonly ConsumerGroupRecord[] {
    const late = this.deadlines.takeDue(nowMs);
    for (const id of late) {
      // Unless the log takes the removal, the next attempt comes a heartbeat later.
      if (this.state.members.has(id)) this.deadlines.set('session', id, nowMs + this.#settings.heartbeatIntervalMs);
      else this.#sequences.delete(id);
    }
    return this.#removal(late.filter((id) => this.state.members.has(id)));
  }

  /** Whether a commit of offsets may be written (G4). From outside only while nobody is in the group. */
  checkCommit({ memberId, instanceId, generation }: Claim): ConsumerGroupError | undefined {
    if (generation < 0 && this.state.members.size === 0) return undefined;
    return this.checkClaim({ memberId, instanceId, generation });
  }

  checkClaim({ memberId, instanceId, generation }: Claim): ConsumerGroupError | undefined {
    const fault = this.identityFault(memberId, instanceId);
    if (fault !== undefined) return fault;
    const { current, metadata } = this.#member(memberId);
    if (current.epoch === generation) return undefined;
    if (metadata.classic === null) return 'STALE_MEMBER_EPOCH';
    // It has joined again, and speaks of the generation before: that is over, but the membership is not.
    const isJoining = current.previousEpoch === generation && this.deadlines.has('sync', memberId);
    return isJoining ? 'REBALANCE_IN_PROGRESS' : 'ILLEGAL_GENERATION';
  }

  /** Takes back everything that the log says of the group. */
  tombstones(): readonly ConsumerGroupRecord[] {
    return this.state.records(this.id).map((record) => ({ ...record, value: null }));
  }

  #membersWithout(ids: readonly (string | undefined)[]): readonly GroupMember[] {
    return [...this.state.members.values()].filter(({ id }) => !ids.includes(id));
  }

  #removal(ids: readonly string[]): readonly ConsumerGroupRecord[] {
    if (ids.length === 0) return [];
    const others = this.#membersWithout(ids);
    // Left among themselves, those of the classic protocol keep the epoch, so that they are not fenced when they become a classic group (`downgrade`).
    const isClassic = others.length > 0 && others.every(({ metadata }) => metadata.classic !== null);
    const value = isClassic
      ? { epoch: this.state.epoch, metadataHash: outdatedHash }
      : { epoch: this.state.epoch + 1, metadataHash: this.#targets.hash(others) };
    const records = ids.flatMap((id) => this.#tombstones(id));
    return [...records, { kind: 'consumer-group', group: this.id, value }];
  }

  #tombstones(member: string): readonly ConsumerGroupRecord[] {
    const kinds = ['current-assignment', 'target-assignment', 'consumer-member'] as const;
    return kinds.map((kind) => ({ kind, group: this.id, member, value: null }));
  }

  /** A member of the classic protocol has a session of its own length. */
  heard(memberId: string, { classic }: ConsumerMemberValue, nowMs: number): void {
    const timeoutMs = classic?.sessionTimeoutMs ?? this.#settings.sessionTimeoutMs;
    this.deadlines.set('session', memberId, nowMs + timeoutMs);
  }

  /** Topics, partitions: not what the current epoch began with. */
  get isOutdated(): boolean {
    return this.#nextEpoch(false, [...this.state.members.values()]) !== undefined;
  }

  #member(id: string): GroupMember {
    return this.state.members.get(id) as GroupMember;
  }
}

/** What a heartbeat leaves out stays as it was. */
function updated(before: ConsumerMemberValue, request: MemberHeartbeat): ConsumerMemberValue {
  const { instanceId, rackId, topics, topicPattern: pattern, assignor, clientId, clientHost } = request;
  return {
    instanceId: instanceId === '' ? before.instanceId : instanceId,
    rackId: rackId === undefined ? before.rackId : orNull(rackId),
    clientId,
    clientHost,
    subscribedTopicNames: topics === undefined ? before.subscribedTopicNames : [...new Set(topics)].sort(),
    subscribedTopicRegex: pattern === undefined ? before.subscribedTopicRegex : orNull(pattern),
    rebalanceTimeoutMs: request.rebalanceTimeoutMs ?? before.rebalanceTimeoutMs,
    serverAssignor: assignor === undefined ? before.serverAssignor : orNull(assignor),
    classic: null,
  };
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}

/** What the assignment depends on. */
function isSameSubscription(one: ConsumerMemberValue, other: ConsumerMemberValue): boolean {
  return (
    one.subscribedTopicRegex === other.subscribedTopicRegex &&
    one.serverAssignor === other.serverAssignor &&
    isDeepStrictEqual(one.subscribedTopicNames, other.subscribedTopicNames)
  );
}
