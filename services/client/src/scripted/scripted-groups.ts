import { isDeepStrictEqual } from 'node:util';
import { errorCodes } from '@naru/kafka-protocol';
import { groupMethods, type groups, type ServiceBinding, unary } from '@naru/rpc';
import type { Simulation } from '@naru/runtime/simulated';

type GroupApi =
  | 'findCoordinator'
  | 'joinGroup'
  | 'syncGroup'
  | 'heartbeat'
  | 'leaveGroup'
  | 'offsetCommit'
  | 'offsetFetch';

/** What a scripted coordinator does with a call: what a coordinator does; refuse with this code; do it and say nothing; nothing at all. */
export type GroupScript =
  | { readonly kind: 'serve'; readonly delayMs?: number }
  | { readonly kind: 'refuse'; readonly code: number }
  | { readonly kind: 'serve-silently' }
  | { readonly kind: 'silence' };

interface ScriptedMember {
  id: string;
  readonly instanceId: string;
  protocols: groups.GroupProtocol[];
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  assignment: Uint8Array;
  heardAtMs: number;
  onJoined: ((answer: groups.JoinGroupResponse) => void) | undefined;
  onSynced: ((answer: groups.SyncGroupResponse) => void) | undefined;
}

const initialDelayMs = 50;

/**
 * One consumer group as Kafka's classic protocol has it, on the brokers of a scripted cluster. Its state is common to all of them, as if it were always
 * loaded at once; `moveTo` makes another broker the coordinator. It notes who was given what, so that a test can look for overlaps.
 */
export class ScriptedGroups {
  coordinatorId = 1;
  generation = 0;
  state: 'empty' | 'preparing' | 'completing' | 'stable' = 'empty';
  readonly members = new Map<string, ScriptedMember>();
  readonly offsets = new Map<string, groups.CommittedOffset>();
  readonly calls: { api: GroupApi; brokerId: number; request: unknown; atMs: number }[] = [];
  /** Accepted commits, with who sent them. */
  readonly commits: { memberId: string; generation: number; offset: groups.CommittedOffset }[] = [];
  onCall: (api: GroupApi, request: unknown, brokerId: number) => GroupScript = () => ({ kind: 'serve' });
  #leaderId = '';
  #protocolName = '';
  #nextId = 1;
  readonly #pendingIds = new Set<string>();
  #round = 0;
  #simulation: Simulation | undefined;

  attach(simulation: Simulation): void {
    this.#simulation = simulation;
  }

  services(brokerId: number): ServiceBinding[] {
    return [
      unary(groupMethods.findCoordinator, (request) =>
        this.#serve('findCoordinator', brokerId, request, (r) => this.#find(r)),
      ),
      unary(groupMethods.joinGroup, (request) => this.#serve('joinGroup', brokerId, request, (r) => this.#join(r))),
      unary(groupMethods.syncGroup, (request) => this.#serve('syncGroup', brokerId, request, (r) => this.#sync(r))),
      unary(groupMethods.heartbeat, (request) =>
        this.#serve('heartbeat', brokerId, request, (r) => this.#heartbeat(r)),
      ),
      unary(groupMethods.leaveGroup, (request) => this.#serve('leaveGroup', brokerId, request, (r) => this.#leave(r))),
      unary(groupMethods.offsetCommit, (request) =>
        this.#serve('offsetCommit', brokerId, request, (r) => this.#commit(r)),
      ),
      unary(groupMethods.offsetFetch, (request) =>
        this.#serve('offsetFetch', brokerId, request, (r) => this.#fetch(r)),
      ),
    ];
  }

  /** The old coordinator answers everything that waits with NOT_COORDINATOR; sessions begin anew at the new one. */
  moveTo(brokerId: number): void {
    this.coordinatorId = brokerId;
    for (const member of this.members.values()) {
      member.onJoined?.({ ...emptyJoined, errorCode: errorCodes.NOT_COORDINATOR });
      member.onSynced?.({ ...emptySynced, errorCode: errorCodes.NOT_COORDINATOR });
      member.onJoined = undefined;
      member.onSynced = undefined;
      this.#hear(member);
    }
  }

  /** The coordinator forgets a member, as after a session timeout. */
  expel(memberId: string): void {
    const member = this.members.get(memberId);
    if (member !== undefined) this.#remove(member);
  }

  rebalance(): void {
    if (this.state === 'preparing') return;
    for (const member of this.members.values()) {
      member.onSynced?.({ ...emptySynced, errorCode: errorCodes.REBALANCE_IN_PROGRESS });
      member.onSynced = undefined;
    }
    const isFirst = this.state === 'empty';
    this.state = 'preparing';
    const round = ++this.#round;
    const limitMs = Math.max(0, ...[...this.members.values()].map((member) => member.rebalanceTimeoutMs));
    this.#after(limitMs, () => {
      if (round === this.#round && this.state === 'preparing') this.#completeJoin();
    });
    if (isFirst) this.#after(initialDelayMs, () => this.#maybeComplete());
  }

  get #nowMs(): number {
    return this.#simulation?.nowMs ?? 0;
  }

  #after(delayMs: number, callback: () => void): void {
    this.#simulation?.at(delayMs, callback);
  }

  async #serve<Request, Response>(
    api: GroupApi,
    brokerId: number,
    request: Request,
    handle: (request: Request) => Response | Promise<Response>,
  ): Promise<Response> {
    this.calls.push({ api, brokerId, request, atMs: this.#nowMs });
    const script = this.onCall(api, request, brokerId);
    const refuse = (errorCode: number): Response => ({ ...emptyAnswer, errorCode }) as unknown as Response;
    const never = new Promise<Response>(() => {});
    if (script.kind === 'silence') return never;
    if (script.kind === 'refuse') return refuse(script.code);
    if (api !== 'findCoordinator' && brokerId !== this.coordinatorId) return refuse(errorCodes.NOT_COORDINATOR);
    if (script.kind === 'serve' && script.delayMs !== undefined) {
      await new Promise<void>((resolve) => this.#after(script.delayMs as number, resolve));
    }
    const answer = await handle(request);
    return script.kind === 'serve-silently' ? never : answer;
  }

  #find({ keys }: groups.FindCoordinatorRequest): groups.FindCoordinatorResponse {
    const nodeId = this.coordinatorId;
    const found = { errorCode: 0, errorMessage: '', nodeId, host: `b${nodeId}`, port: 9092 };
    return { coordinators: keys.map((key) => ({ key, ...found })) };
  }

  #join(request: groups.JoinGroupRequest): groups.JoinGroupResponse | Promise<groups.JoinGroupResponse> {
    const refuse = (errorCode: number, memberId = request.memberId): groups.JoinGroupResponse => ({
      ...emptyJoined,
      errorCode,
      memberId,
    });
    const known = this.members.get(request.memberId);
    const twin = [...this.members.values()].find(
      (member) => request.groupInstanceId !== '' && member.instanceId === request.groupInstanceId,
    );
    if (request.memberId === '' && request.groupInstanceId === '') {
      const id = `m${this.#nextId++}`;
      this.#pendingIds.add(id);
      return refuse(errorCodes.MEMBER_ID_REQUIRED, id);
    }
    if (request.memberId === '' && twin !== undefined) return this.#replaceStatic(twin, request);
    if (request.memberId !== '' && known === undefined && !this.#pendingIds.has(request.memberId)) {
      return refuse(twin === undefined ? errorCodes.UNKNOWN_MEMBER_ID : errorCodes.FENCED_INSTANCE_ID);
    }
    const isAsBefore = known !== undefined && isDeepStrictEqual(known.protocols, request.protocols);
    // A follower with nothing new to say stays in the generation; a leader wants to assign anew.
    if (isAsBefore && this.state === 'stable' && known.id !== this.#leaderId) return this.#joinAnswer(known);
    const member = known ?? this.#add(request);
    member.protocols = request.protocols;
    this.rebalance();
    return this.#joined(member);
  }

  #joined(member: ScriptedMember): Promise<groups.JoinGroupResponse> {
    return new Promise((resolve) => {
      member.onJoined = resolve;
      if (this.generation > 0) this.#after(0, () => this.#maybeComplete());
    });
  }

  #add(request: groups.JoinGroupRequest): ScriptedMember {
    this.#pendingIds.delete(request.memberId);
    const member: ScriptedMember = {
      id: request.memberId || `${request.groupInstanceId}-${this.#nextId++}`,
      instanceId: request.groupInstanceId,
      protocols: request.protocols,
      sessionTimeoutMs: request.sessionTimeoutMs,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs,
      assignment: new Uint8Array(0),
      heardAtMs: this.#nowMs,
      onJoined: undefined,
      onSynced: undefined,
    };
    this.members.set(member.id, member);
    this.#hear(member);
    return member;
  }

  /** A static member that came back gets its place at once, the old id is fenced (row 52). */
  #replaceStatic(
    twin: ScriptedMember,
    request: groups.JoinGroupRequest,
  ): groups.JoinGroupResponse | Promise<groups.JoinGroupResponse> {
    const wasLeader = twin.id === this.#leaderId;
    twin.onJoined?.({ ...emptyJoined, errorCode: errorCodes.FENCED_INSTANCE_ID });
    twin.onSynced?.({ ...emptySynced, errorCode: errorCodes.FENCED_INSTANCE_ID });
    twin.onJoined = undefined;
    twin.onSynced = undefined;
    this.members.delete(twin.id);
    twin.id = `${twin.instanceId}-${this.#nextId++}`;
    twin.protocols = request.protocols;
    this.members.set(twin.id, twin);
    this.#hear(twin);
    if (wasLeader) this.#leaderId = twin.id;
    if (this.state !== 'stable') {
      this.rebalance();
      return this.#joined(twin);
    }
    return { ...this.#joinAnswer(twin), skipAssignment: wasLeader };
  }

  #hear(member: ScriptedMember): void {
    member.heardAtMs = this.#nowMs;
    const { id } = member;
    this.#after(member.sessionTimeoutMs + 1, () => {
      if (this.members.get(id) !== member || member.id !== id || member.onJoined !== undefined) return;
      if (this.#nowMs - member.heardAtMs > member.sessionTimeoutMs) this.#remove(member);
    });
  }

  #remove(member: ScriptedMember): void {
    this.members.delete(member.id);
    if (this.members.size === 0) {
      this.state = 'empty';
      this.generation++;
      return;
    }
    this.rebalance();
    this.#maybeComplete();
  }

  #maybeComplete(): void {
    if (this.state !== 'preparing' || this.members.size === 0) return;
    if ([...this.members.values()].every((member) => member.onJoined !== undefined)) this.#completeJoin();
  }

  #completeJoin(): void {
    for (const member of [...this.members.values()]) {
      if (member.onJoined === undefined && member.instanceId === '') this.members.delete(member.id);
    }
    const present = [...this.members.values()];
    const [first] = present;
    if (first === undefined) {
      this.state = 'empty';
      return;
    }
    this.generation++;
    this.state = 'completing';
    if (!this.members.has(this.#leaderId)) this.#leaderId = first.id;
    const isCommon = (name: string): boolean => present.every((one) => one.protocols.some((p) => p.name === name));
    this.#protocolName = first.protocols.find(({ name }) => isCommon(name))?.name ?? '';
    for (const member of present) {
      const resolve = member.onJoined;
      member.onJoined = undefined;
      this.#hear(member);
      resolve?.(this.#joinAnswer(member));
    }
  }

  #joinAnswer(member: ScriptedMember): groups.JoinGroupResponse {
    const metadataOf = ({ protocols }: ScriptedMember): Uint8Array =>
      protocols.find(({ name }) => name === this.#protocolName)?.metadata ?? new Uint8Array(0);
    const members =
      member.id === this.#leaderId
        ? [...this.members.values()].map((one) => ({
            memberId: one.id,
            groupInstanceId: one.instanceId,
            metadata: metadataOf(one),
          }))
        : [];
    return {
      ...emptyJoined,
      generationId: this.generation,
      protocolType: 'consumer',
      protocolName: this.#protocolName,
      leader: this.#leaderId,
      memberId: member.id,
      members,
    };
  }

  #sync(request: groups.SyncGroupRequest): groups.SyncGroupResponse | Promise<groups.SyncGroupResponse> {
    const member = this.members.get(request.memberId);
    const refusal = this.#check(request);
    if (member === undefined || refusal !== 0) return { ...emptySynced, errorCode: refusal };
    if (this.state === 'preparing') return { ...emptySynced, errorCode: errorCodes.REBALANCE_IN_PROGRESS };
    this.#hear(member);
    if (this.state === 'stable') return { ...emptySynced, assignment: member.assignment };
    const waiting = new Promise<groups.SyncGroupResponse>((resolve) => {
      member.onSynced = resolve;
    });
    if (member.id === this.#leaderId) {
      for (const one of this.members.values()) {
        one.assignment =
          request.assignments.find(({ memberId }) => memberId === one.id)?.assignment ?? new Uint8Array(0);
      }
      this.state = 'stable';
      for (const one of this.members.values()) {
        one.onSynced?.({ ...emptySynced, assignment: one.assignment });
        one.onSynced = undefined;
      }
    }
    return waiting;
  }

  /** Codes that a call of this member and generation meets; 0: it is a current member. */
  #check(asked: { memberId: string; groupInstanceId: string; generationId: number }): number {
    if (!this.members.has(asked.memberId)) {
      const isTaken = [...this.members.values()].some(
        (member) => asked.groupInstanceId !== '' && member.instanceId === asked.groupInstanceId,
      );
      return isTaken ? errorCodes.FENCED_INSTANCE_ID : errorCodes.UNKNOWN_MEMBER_ID;
    }
    return asked.generationId === this.generation ? 0 : errorCodes.ILLEGAL_GENERATION;
  }

  #heartbeat(request: groups.HeartbeatRequest): groups.HeartbeatResponse {
    const errorCode = this.#check(request);
    const member = this.members.get(request.memberId);
    if (errorCode !== 0 || member === undefined) return { errorCode, errorMessage: '' };
    this.#hear(member);
    return { errorCode: this.state === 'preparing' ? errorCodes.REBALANCE_IN_PROGRESS : 0, errorMessage: '' };
  }

  #leave(request: groups.LeaveGroupRequest): groups.LeaveGroupResponse {
    for (const { memberId } of request.members) this.expel(memberId);
    return { errorCode: 0, errorMessage: '', members: [] };
  }

  #commit(request: groups.OffsetCommitRequest): groups.OffsetCommitResponse {
    const isSimple = request.generationId < 0 && this.members.size === 0;
    let errorCode = isSimple ? 0 : this.#check(request);
    if (errorCode === 0 && this.state === 'completing') errorCode = errorCodes.REBALANCE_IN_PROGRESS;
    if (errorCode === 0) {
      for (const offset of request.offsets) {
        this.offsets.set(`${offset.topic}/${offset.partition}`, offset);
        this.commits.push({ memberId: request.memberId, generation: request.generationId, offset });
      }
    }
    const offsets = request.offsets.map(({ topic, partition }) => ({ topic, partition, errorCode }));
    return { errorCode, errorMessage: '', offsets };
  }

  #fetch(request: groups.OffsetFetchRequest): groups.OffsetFetchResponse {
    const errorCode = request.memberId === '' ? 0 : this.#check({ ...request, groupInstanceId: '' });
    const offsets = request.partitions.map(({ topic, partition }) => {
      const found = this.offsets.get(`${topic}/${partition}`);
      const { offset, leaderEpoch, metadata } = found ?? { offset: -1, leaderEpoch: -1, metadata: '' };
      return { topic, partition, errorCode: 0, offset, leaderEpoch, metadata };
    });
    return { errorCode, errorMessage: '', offsets };
  }
}

const emptyJoined: groups.JoinGroupResponse = {
  errorCode: 0,
  errorMessage: '',
  generationId: -1,
  protocolType: '',
  protocolName: '',
  leader: '',
  skipAssignment: false,
  memberId: '',
  members: [],
};
const emptySynced: groups.SyncGroupResponse = {
  errorCode: 0,
  errorMessage: '',
  protocolType: '',
  protocolName: '',
  assignment: new Uint8Array(0),
};
/** Whatever was asked, with nothing in it. */
const emptyAnswer = { ...emptyJoined, ...emptySynced, offsets: [], coordinators: [] };
