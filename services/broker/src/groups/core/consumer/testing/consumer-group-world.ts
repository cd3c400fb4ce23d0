import { decodeAssignment, encodeSubscription } from '@naru/kafka-protocol';
import { assert } from '@naru/runtime';
import type { ConsumerGroupRecord } from '../../../records/group-record.ts';
import { CommittedState } from '../../committed-state.ts';
import type { GroupSurroundings, Joined, JoinRequest, Synced } from '../../group-types.ts';
import { type ClassicDecision, heartbeatClassic, joinClassic, syncClassic } from '../classic-members.ts';
import { ConsumerGroup } from '../consumer-group.ts';
import type {
  ConsumerGroupSettings,
  Decision,
  HeartbeatAnswer,
  MemberHeartbeat,
  TopicCatalog,
} from '../consumer-group-types.ts';
import { isSameSet, noPartitions, type PartitionSet, partitionsById, partitionsByName } from '../partition-set.ts';

export const sessionTimeoutMs = 10_000;
export const rebalanceTimeoutMs = 20_000;
const groupId = 'g';

const settings: ConsumerGroupSettings = {
  sessionTimeoutMs,
  heartbeatIntervalMs: 1_000,
  membersMax: 100,
  assignors: ['uniform', 'range'],
  migrationPolicy: 'bidirectional',
};

/** A client as it sees itself. */
export interface WorldMember {
  readonly instanceId: string;
  /** Speaks the classic protocol; undefined: heartbeats of KIP-848. */
  readonly classic: 'eager' | 'cooperative' | undefined;
  /** Of the classic protocol: what it does next. */
  next: 'join' | 'sync' | 'stay';
  /** That it joined with. */
  joinedTopics: readonly string[];
  memberId: string;
  /** 0: it joins. */
  epoch: number;
  topics: readonly string[];
  assignor: string;
  owned: PartitionSet;
  /** What it was told to have; undefined: it has that. */
  told: PartitionSet | undefined;
  /** Its heartbeat that waits for an answer. */
  waiting: boolean;
  isGone: boolean;
}

interface PendingWrite {
  readonly records: readonly ConsumerGroupRecord[];
  readonly member: WorldMember | undefined;
  readonly answer: HeartbeatAnswer | Joined | Synced | undefined;
}

const protocol = 'cooperative-sticky';

/**
 * One group with a server-side assignor, its log, its topics and its clients, moved by hand: answers wait until their records are committed, answers get
 * lost, another coordinator takes over with any prefix of what was written. Checks after every step what must hold at all times.
 */
export class ConsumerGroupWorld {
  nowMs = 0;
  readonly members: WorldMember[] = [];
  readonly topics = new Map<string, { id: string; partitions: number }>([
    ['a', { id: 'idA', partitions: 4 }],
    ['b', { id: 'idB', partitions: 3 }],
  ]);
  /** What is replicated. */
  readonly log: ConsumerGroupRecord[] = [];
  group: ConsumerGroup;
  /** The log takes nothing. */
  isRefusing = false;
  readonly #catalog: TopicCatalog & { version: number };
  readonly #surroundings: GroupSurroundings;
  #writes: PendingWrite[] = [];
  #ids = 0;
  #sequence = 0;
  #delayed: MemberHeartbeat[] = [];
  #topicIds = 0;

  constructor() {
    this.#catalog = {
      version: 0,
      names: () => this.topics.keys(),
      find: (name) => this.topics.get(name),
      nameOf: (id) => [...this.topics].find(([, topic]) => topic.id === id)?.[0],
    };
    this.#surroundings = {
      settings: {
        initialRebalanceDelayMs: 0,
        sessionTimeoutMsMin: 1,
        sessionTimeoutMsMax: 1_000_000,
        membersMax: 100,
      },
      newMemberId: (prefix) => `${prefix}#${++this.#ids}`,
      wallMs: () => this.nowMs,
    };
    this.group = new ConsumerGroup(groupId, settings, this.#catalog);
  }

  get writesCount(): number {
    return this.#writes.length;
  }

  addMember(instanceId: string, topics: readonly string[], classic?: 'eager' | 'cooperative'): WorldMember {
    const member: WorldMember = {
      instanceId,
      classic,
      next: 'join',
      joinedTopics: topics,
      memberId: classic === undefined ? `m${++this.#ids}` : '',
      epoch: 0,
      topics,
      assignor: '',
      owned: noPartitions,
      told: undefined,
      waiting: false,
      isGone: false,
    };
    this.members.push(member);
    return member;
  }

  heartbeat(member: WorldMember): void {
    if (member.isGone || member.waiting) return;
    if (member.classic !== undefined) this.#actClassic(member);
    else this.#carryOut(this.group.heartbeat(this.#request(member), this.nowMs), member);
  }

  /** Whatever a client of the classic protocol does next. What it was told it has taken before it joins again. */
  #actClassic(member: WorldMember): void {
    const { memberId, instanceId, epoch: generation } = member;
    const claim = { memberId, instanceId, generation };
    if (member.next === 'stay' && member.joinedTopics !== member.topics) member.next = 'join';
    if (member.next === 'join') {
      if (member.told === undefined) this.#joinClassic(member);
    } else if (member.next === 'sync') {
      const request = { ...claim, protocolType: '', protocol, assignments: new Map() };
      this.#carryOut(syncClassic(this.group, request, this.nowMs), member);
    } else {
      const error = heartbeatClassic(this.group, claim, this.nowMs);
      if (error !== undefined) this.#refused(member, error);
    }
  }

  #joinClassic(member: WorldMember): void {
    const { memberId, instanceId, topics, epoch: generationId } = member;
    if (member.classic === 'eager') member.owned = noPartitions;
    member.joinedTopics = topics;
    const ownedPartitions = partitionsByName(member.owned, this.#catalog);
    const metadata = encodeSubscription({ topics, ownedPartitions, generationId, userData: null, rackId: null });
    const request: JoinRequest = {
      memberId,
      instanceId,
      clientId: 'c',
      clientHost: '/h',
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      protocolType: 'consumer',
      protocols: [{ name: protocol, metadata }],
      admitWithoutMemberId: false,
    };
    this.#carryOut(joinClassic(this.group, request, this.#surroundings, this.nowMs), member);
  }

  /** The client gives a heartbeat up that is still on its way. */
  delay(member: WorldMember): void {
    if (!member.isGone && !member.waiting && member.classic === undefined) this.#delayed.push(this.#request(member));
  }

  arrive(): void {
    const request = this.#delayed.shift();
    if (request !== undefined) this.#carryOut(this.group.heartbeat(request, this.nowMs), undefined);
  }

  #request({ memberId, epoch: memberEpoch, instanceId, topics, assignor, ...member }: WorldMember): MemberHeartbeat {
    // Also what it was told and has not taken yet: what it does not name, the coordinator may give to others.
    const owned = member.owned.union(member.told ?? noPartitions);
    const request = { memberId, memberEpoch, instanceId, topics, assignor, owned, sequence: ++this.#sequence };
    return { ...request, rackId: undefined, rebalanceTimeoutMs, topicPattern: '', clientId: 'c', clientHost: '/h' };
  }

  /** Gives up what it must, and takes what it was given. */
  adopt(member: WorldMember): void {
    const isMember = !member.isGone && this.group.state.members.has(member.memberId);
    if (isMember && member.told !== undefined) {
      // The next step gives it to its new owner (KIP-429).
      const isHandedOn = member.classic === 'cooperative' && !member.owned.isSubsetOf(member.told);
      if (isHandedOn) member.next = 'join';
      member.owned = member.told;
    }
    member.told = undefined;
    this.#checkOwners();
  }

  /** The client gives the request up: its answer will not be heard. */
  loseAnswer(member: WorldMember): void {
    if (!member.waiting) return;
    member.waiting = false;
    this.#writes = this.#writes.map((write) => (write.member === member ? { ...write, member: undefined } : write));
  }

  leave(member: WorldMember, forAWhile: boolean): void {
    if (member.isGone || member.epoch === 0) return;
    this.loseAnswer(member);
    const isAway = forAWhile && member.instanceId !== '' && member.classic === undefined;
    member.isGone = true;
    member.owned = noPartitions;
    this.#carryOut(this.group.leave(member.memberId, member.instanceId, isAway ? -2 : -1), undefined);
  }

  /** It says nothing any more, and does not hear. */
  vanish(member: WorldMember): void {
    this.loseAnswer(member);
    member.isGone = true;
    member.owned = noPartitions;
  }

  setTopic(name: string, partitions: number): void {
    this.#catalog.version++;
    if (partitions === 0) this.topics.delete(name);
    else this.topics.set(name, { id: this.topics.get(name)?.id ?? `id${++this.#topicIds}`, partitions });
  }

  advance(ms: number): void {
    this.nowMs += ms;
    const records = this.group.tick(this.nowMs);
    if (records.length > 0 && !this.isRefusing) this.#append({ records, member: undefined, answer: undefined });
  }

  commitWrite(): void {
    const write = this.#writes.shift();
    if (write === undefined) return;
    this.log.push(...write.records);
    if (write.member !== undefined && write.answer !== undefined) this.#answered(write.member, write.answer);
  }

  /** Another coordinator, whose log has so many of the writes that were under way. */
  failOver(survivors: number): void {
    for (const { records } of this.#writes.splice(0).slice(0, survivors)) this.log.push(...records);
    for (const member of this.members) member.waiting = false;
    // They were sent to the former coordinator.
    this.#delayed = [];
    this.group = this.replayed();
    this.#forgetRemoved();
  }

  /** What a coordinator would make of the log (G8). */
  replayed(): ConsumerGroup {
    const committed = new CommittedState();
    for (const record of this.log) committed.apply(record);
    const records = committed.consumerGroups.get(groupId)?.records(groupId) ?? [];
    return ConsumerGroup.restore(groupId, records, settings, this.#catalog, this.nowMs);
  }

  #carryOut(
    decision: Decision<HeartbeatAnswer> | ClassicDecision<Joined | Synced>,
    member: WorldMember | undefined,
  ): void {
    if (!decision.ok) {
      if (member !== undefined)
        this.#refused(member, decision.error, 'memberId' in decision ? decision.memberId : undefined);
      return;
    }
    if (this.isRefusing) return;
    if (member !== undefined) member.waiting = true;
    this.#append({ records: decision.records, member, answer: decision.answer });
  }

  #append(write: PendingWrite): void {
    this.group.apply(write.records, this.nowMs);
    this.#writes.push(write);
    this.#forgetRemoved();
    this.#checkOwners();
  }

  #answered(member: WorldMember, answer: HeartbeatAnswer | Joined | Synced): void {
    member.waiting = false;
    if ('assignment' in answer && 'protocol' in answer) {
      const { partitions } = decodeAssignment(answer.assignment);
      const assignment = partitionsById(partitions, this.#catalog);
      const held = this.replayed().state.members.get(member.memberId)?.current.assigned ?? noPartitions;
      assert(assignment.isSubsetOf(held), 'what SyncGroup gives is in the log (G2, G8)');
      member.told = assignment;
      member.next = 'stay';
      return;
    }
    const isJoin = 'generation' in answer;
    const { memberId } = answer;
    const memberEpoch = isJoin ? answer.generation : answer.memberEpoch;
    const assignment = isJoin ? undefined : answer.assignment;
    member.memberId = memberId;
    if (isJoin) member.next = 'sync';
    const durable = this.replayed().state.members.get(memberId);
    assert(durable?.current.epoch === memberEpoch, `epoch ${memberEpoch} of ${memberId} is told, not in the log (G2)`);
    if (assignment !== undefined) {
      assert(isSameSet(durable.current.assigned, assignment), 'what a member is told to have is in the log (G8)');
      member.told = assignment;
    }
    member.epoch = memberEpoch;
  }

  #refused(member: WorldMember, error: string, newMemberId = ''): void {
    if (error === 'UNRELEASED_INSTANCE_ID') return;
    if (member.classic !== undefined) member.next = 'join';
    if (error === 'REBALANCE_IN_PROGRESS' && member.classic === 'eager') member.owned = noPartitions;
    if (error === 'MEMBER_ID_REQUIRED') member.memberId = newMemberId;
    if (error === 'REBALANCE_IN_PROGRESS' || error === 'MEMBER_ID_REQUIRED') return;
    member.owned = noPartitions;
    member.told = undefined;
    member.epoch = 0;
    if (error === 'FENCED_INSTANCE_ID') member.isGone = true;
    else member.memberId = member.classic === undefined ? `m${++this.#ids}` : '';
  }

  /** A member whose session ended on the coordinator has stopped before: it counts from an earlier moment. */
  #forgetRemoved(): void {
    for (const member of this.members) {
      if (member.epoch !== 0 && !this.group.state.members.has(member.memberId)) member.owned = noPartitions;
    }
  }

  /** G1: no two members hold one partition, and who holds one is known to hold it. */
  #checkOwners(): void {
    const instances = [...this.group.state.members.values()].flatMap(({ metadata }) => metadata.instanceId ?? []);
    assert(new Set(instances).size === instances.length, 'a static member has one id (row 52)');
    const owners = new Map<string, WorldMember>();
    for (const member of this.members) {
      for (const partition of member.owned) {
        // A topic that is gone is nobody's; the classic protocol has no words for its partitions.
        if (partitionsByName(new Set([partition]), this.#catalog).length === 0) continue;
        const other = owners.get(partition);
        assert(other === undefined, `${partition} is held by ${other?.memberId} and ${member.memberId} (G1)`);
        owners.set(partition, member);
        const owner = this.group.state.ownerOf(partition);
        assert(owner === member.memberId, `${partition} is held by ${member.memberId}, given out as ${owner}'s (G1)`);
      }
    }
  }
}
