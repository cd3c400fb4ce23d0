import { assert } from '@naru/runtime';
import type { ConsumerGroupRecord } from '../../../records/group-record.ts';
import { CommittedState } from '../../committed-state.ts';
import { ConsumerGroup } from '../consumer-group.ts';
import type {
  ConsumerGroupSettings,
  Decision,
  HeartbeatAnswer,
  MemberHeartbeat,
  TopicCatalog,
} from '../consumer-group-types.ts';
import { isSameSet, noPartitions, type PartitionSet } from '../partition-set.ts';

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
  readonly answer: HeartbeatAnswer | undefined;
}

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
    this.group = new ConsumerGroup(groupId, settings, this.#catalog);
  }

  get writesCount(): number {
    return this.#writes.length;
  }

  addMember(instanceId: string, topics: readonly string[]): WorldMember {
    const member: WorldMember = {
      instanceId,
      memberId: `m${++this.#ids}`,
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
    this.#carryOut(this.group.heartbeat(this.#request(member), this.nowMs), member);
  }

  /** The client gives a heartbeat up that is still on its way. */
  delay(member: WorldMember): void {
    if (!member.isGone && !member.waiting) this.#delayed.push(this.#request(member));
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
    if (isMember && member.told !== undefined) member.owned = member.told;
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
    const isAway = forAWhile && member.instanceId !== '';
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

  #carryOut(decision: Decision<HeartbeatAnswer>, member: WorldMember | undefined): void {
    if (!decision.ok) {
      if (member !== undefined) this.#refused(member, decision.error);
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

  #answered(member: WorldMember, { memberEpoch, assignment, memberId }: HeartbeatAnswer): void {
    member.waiting = false;
    const durable = this.replayed().state.members.get(memberId);
    assert(durable?.current.epoch === memberEpoch, `epoch ${memberEpoch} of ${memberId} is told, not in the log (G2)`);
    if (assignment !== undefined) {
      assert(isSameSet(durable.current.assigned, assignment), 'what a member is told to have is in the log (G8)');
      member.told = assignment;
    }
    member.epoch = memberEpoch;
  }

  #refused(member: WorldMember, error: string): void {
    if (error === 'UNRELEASED_INSTANCE_ID') return;
    member.owned = noPartitions;
    member.told = undefined;
    member.epoch = 0;
    if (error === 'FENCED_INSTANCE_ID') member.isGone = true;
    else member.memberId = `m${++this.#ids}`;
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
        const other = owners.get(partition);
        assert(other === undefined, `${partition} is held by ${other?.memberId} and ${member.memberId} (G1)`);
        owners.set(partition, member);
        const owner = this.group.state.ownerOf(partition);
        assert(owner === member.memberId, `${partition} is held by ${member.memberId}, given out as ${owner}'s (G1)`);
      }
    }
  }
}
