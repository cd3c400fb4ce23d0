import { assert, unreachable } from '@naru/runtime';
import type { GroupMetadataValue } from '../../records/group-metadata-value.ts';
import { CommittedState } from '../committed-state.ts';
import { Group } from '../group.ts';
import type { Failed, GroupEffect, GroupSurroundings, Joined, JoinRequest, Synced } from '../group-types.ts';

export const sessionTimeoutMs = 10_000;
export const rebalanceTimeoutMs = 20_000;
const groupId = 'g';

/** A client as it sees itself. */
export interface WorldClient {
  readonly name: string;
  readonly instanceId: string;
  memberId: string;
  generation: number;
  /** What it waits for. */
  waiting: 'join' | 'sync' | undefined;
  /** What it was told is its own; undefined while it has nothing. */
  assignment: string | undefined;
  next: 'join' | 'sync' | 'stay' | 'nothing';
  assignments: ReadonlyMap<string, Uint8Array>;
}

interface PendingWrite {
  readonly value: GroupMetadataValue;
  readonly ticket: number;
  readonly group: Group;
}

/**
 * One group, its log and its clients, moved by hand: writes are committed or fail when the test says so, and another coordinator can take over with any
 * prefix of what was written. Checks after every answer what must hold at all times.
 */
export class GroupWorld {
  nowMs = 0;
  readonly clients: WorldClient[] = [];
  /** What is replicated. */
  readonly log: GroupMetadataValue[] = [];
  group: Group;
  readonly #surroundings: GroupSurroundings;
  #writes: PendingWrite[] = [];
  #token = 0;
  #ids = 0;
  readonly #waiting = new Map<number, { client: WorldClient; kind: 'join' | 'sync' }>();
  /** Generation to its leader: the same for everybody who was ever told, whoever coordinated (G2). */
  readonly #leaders = new Map<number, string>();
  /** Member ids of which another incarnation of the same instance was answered. */
  readonly fenced = new Set<string>();
  readonly #currentOf = new Map<string, string>();

  constructor(initialRebalanceDelayMs = 0) {
    this.#surroundings = {
      settings: {
        initialRebalanceDelayMs,
        sessionTimeoutMsMin: 1,
        sessionTimeoutMsMax: 1_000_000,
        membersMax: 100,
      },
      newMemberId: (prefix) => `${prefix}#${++this.#ids}`,
      wallMs: () => this.nowMs,
    };
    this.group = new Group(groupId, this.#surroundings);
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  get writesCount(): number {
    return this.#writes.length;
  }

  addClient(instanceId = ''): WorldClient {
    const client: WorldClient = {
      name: `c${this.clients.length}`,
      instanceId,
      memberId: '',
      generation: -1,
      waiting: undefined,
      assignment: undefined,
      next: 'join',
      assignments: new Map(),
    };
    this.clients.push(client);
    return client;
  }

  /** Whatever a well-behaved client does next. */
  act(client: WorldClient): void {
    if (client.waiting !== undefined) return;
    switch (client.next) {
      case 'join':
        this.#join(client);
        return;
      case 'sync':
        this.#sync(client);
        return;
      case 'stay':
        this.heartbeat(client);
        return;
      case 'nothing':
        return;
      default:
        unreachable(client.next);
    }
  }

  #join(client: WorldClient): void {
    const request: JoinRequest = {
      memberId: client.memberId,
      instanceId: client.instanceId,
      clientId: client.name,
      clientHost: '/h',
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('0001000000010001610000', 'hex') }],
      admitWithoutMemberId: false,
    };
    client.waiting = 'join';
    this.#run(this.group, this.group.join(request, this.#wait(client, 'join'), this.nowMs));
  }

  #sync(client: WorldClient): void {
    const { memberId, instanceId, generation, assignments } = client;
    const request = { memberId, instanceId, generation, protocolType: '', protocol: '', assignments };
    client.waiting = 'sync';
    this.#run(this.group, this.group.sync(request, this.#wait(client, 'sync'), this.nowMs));
  }

  heartbeat(client: WorldClient): void {
    const error = this.group.heartbeat(client, this.nowMs);
    if (error === undefined) {
      assert(!this.fenced.has(client.memberId), `fenced member ${client.memberId} is served (row 52)`);
      this.#checkCurrent(client);
    } else {
      this.#failed(client, error);
    }
  }

  /** True when the commit may be written. */
  commit(client: WorldClient): boolean {
    // Without an id it would be a commit from outside of the group.
    if (client.memberId === '') return false;
    const isAllowed = this.group.checkCommit(client, this.nowMs) === undefined;
    if (isAllowed) this.#checkCurrent(client);
    return isAllowed;
  }

  leave(client: WorldClient): void {
    const { error, effects } = this.group.leave(client.memberId, client.instanceId, this.nowMs);
    this.#run(this.group, effects);
    if (error === undefined) Object.assign(client, { next: 'nothing', assignment: undefined });
  }

  advance(ms: number): void {
    this.nowMs += ms;
    this.#run(this.group, this.group.tick(this.nowMs));
  }

  /** The oldest write that is under way is replicated. */
  commitWrite(): void {
    const write = this.#writes.shift();
    if (write === undefined) return;
    this.log.push(write.value);
    this.#run(write.group, write.group.written(write.ticket, 'committed', this.nowMs));
  }

  /** The coordinator does not learn in time that it is replicated; it may be later. */
  failWrite(): void {
    const write = this.#writes[0];
    if (write !== undefined) this.#run(write.group, write.group.written(write.ticket, 'unknown', this.nowMs));
  }

  /** Another coordinator, whose log has so many of the writes that were under way. Nobody is answered by the old one. */
  failOver(survivors: number): void {
    for (const { value } of this.#writes.splice(0).slice(0, survivors)) this.log.push(value);
    for (const { client } of this.#waiting.values()) client.waiting = undefined;
    this.#waiting.clear();
    this.group = this.replayed();
  }

  /** What a coordinator would make of the log (G8). */
  replayed(): Group {
    const state = new CommittedState();
    for (const value of this.log) state.apply({ kind: 'group', group: groupId, value });
    const value = state.groups.get(groupId);
    const { group } = this;
    return value === undefined
      ? new Group(group.id, this.#surroundings)
      : Group.restore(group.id, value, this.#surroundings, this.nowMs);
  }

  end(): void {
    this.#writes = [];
    this.#run(this.group, this.group.end('NOT_COORDINATOR'));
  }

  // Answers.

  #wait(client: WorldClient, kind: 'join' | 'sync'): number {
    const token = ++this.#token;
    this.#waiting.set(token, { client, kind });
    return token;
  }

  #run(group: Group, effects: readonly GroupEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'write') {
        this.#writes.push({ value: effect.value, ticket: effect.ticket, group });
        continue;
      }
      const waiter = this.#waiting.get(effect.token);
      assert(waiter !== undefined, 'a request is answered once, by the coordinator that it was sent to');
      this.#waiting.delete(effect.token);
      waiter.client.waiting = undefined;
      if (effect.kind === 'join-answered') this.#joined(waiter.client, effect.answer);
      else this.#synced(waiter.client, effect.answer);
    }
  }

  #joined(client: WorldClient, answer: Joined | Failed): void {
    client.assignment = undefined;
    if (!answer.ok) {
      this.#failed(client, answer.error, answer.memberId);
      return;
    }
    const { generation, leader, memberId } = answer;
    this.#checkDurable(generation, memberId);
    const known = this.#leaders.get(generation);
    if (!answer.skipAssignment && this.group.state === 'CompletingRebalance') {
      assert(known === undefined || known === leader, `generation ${generation} was given out twice (G2)`);
      this.#leaders.set(generation, leader);
    }
    const former = this.#currentOf.get(client.instanceId);
    if (client.instanceId !== '' && former !== memberId) {
      if (former !== undefined) this.fenced.add(former);
      this.#currentOf.set(client.instanceId, memberId);
    }
    assert(!this.fenced.has(memberId), 'who was fenced does not join under the same id (row 52)');
    client.memberId = memberId;
    client.generation = generation;
    client.next = 'sync';
    // Each member its own share, named after generation and member: who holds another's has been told wrongly.
    client.assignments = new Map(
      answer.skipAssignment
        ? []
        : answer.members.map((member) => [member.memberId, Buffer.from(`${generation}/${member.memberId}`)]),
    );
  }

  #synced(client: WorldClient, answer: Synced | Failed): void {
    if (!answer.ok) {
      this.#failed(client, answer.error);
      return;
    }
    const assignment = Buffer.from(answer.assignment).toString();
    const record = this.log.findLast((value) => value.generation === client.generation && value.leader !== null);
    assert(record !== undefined, `generation ${client.generation} is answered before it is durable (G2)`);
    const durable = record.members.find(({ memberId }) => memberId === client.memberId);
    assert(durable !== undefined, `${client.memberId} is no member of what is durable (G2)`);
    assert(Buffer.from(durable.assignment).toString() === assignment, 'the assignment is the durable one (G2, G8)');
    client.assignment = assignment;
    client.next = 'stay';
  }

  #failed(client: WorldClient, error: string, memberId?: string): void {
    client.assignment = undefined;
    client.next = 'join';
    if (error === 'MEMBER_ID_REQUIRED') client.memberId = memberId ?? '';
    else if (error === 'UNKNOWN_MEMBER_ID') client.memberId = '';
    else if (error === 'FENCED_INSTANCE_ID') client.next = 'nothing';
  }

  /** G4: only a current member of the current generation. */
  #checkCurrent(client: WorldClient): void {
    assert(client.generation === this.group.generation, 'an old generation is served (G4)');
    const isMember = [...this.group.members].some(({ id }) => id === client.memberId);
    assert(isMember, 'somebody who is no member is served (G4)');
  }

  #checkDurable(generation: number, memberId: string): void {
    const record = this.log.findLast((value) => value.generation === generation);
    assert(record !== undefined, `generation ${generation} is given out before it is durable (G2)`);
    assert(
      record.members.some((member) => member.memberId === memberId),
      `${memberId} joined generation ${generation}, of which the log does not know (row 52)`,
    );
  }
}
