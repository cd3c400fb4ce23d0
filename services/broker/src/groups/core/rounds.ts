import type { GroupMetadataValue } from '../records/group-metadata-value.ts';
import { Generation } from './generation.ts';
import type { GroupError, GroupState, GroupSurroundings, Joined, Synced, Written } from './group-types.ts';
import { InitialDelay } from './initial-delay.ts';
import { electProtocol, type Member, noBytes, restoredMember } from './member.ts';
import type { Membership } from './membership.ts';
import type { NextDeadline } from './next-deadline.ts';
import type { Outbox } from './outbox.ts';

const never = Number.POSITIVE_INFINITY;

/** What a group's rounds have to do with the rest of it. */
export interface RoundsParts {
  readonly surroundings: GroupSurroundings;
  readonly members: Membership;
  /** Member ids that were given out and have not joined yet: a round waits for them. */
  readonly handshakes: ReadonlyMap<string, unknown>;
  readonly out: Outbox;
  readonly deadline: NextDeadline;
}

/**
 * The rounds of a classic group, each of which makes a generation: who is in it, what the log knows of it, and who assigns.
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
export class Rounds {
  readonly generation = new Generation();
  readonly #surroundings: GroupSurroundings;
  readonly #members: Membership;
  readonly #handshakes: ReadonlyMap<string, unknown>;
  readonly #out: Outbox;
  readonly #deadline: NextDeadline;
  #state: GroupState = 'Empty';
  /** The current round of joining waits so long at most. */
  #joinDeadlineMs: number = never;
  /** The first round of a group waits at least so long, for those who start together; undefined in other rounds. */
  #initialDelay: InitialDelay | undefined;
  #syncDeadlineMs: number = never;
  /** The write of the reservation, and of the assignments, that the group waits for. */
  #reserving: number | undefined;
  #assigning: { readonly ticket: number; readonly assignments: ReadonlyMap<string, Uint8Array> } | undefined;
  /** Writes that fence a static member's former id, and who waits for them. */
  readonly #fencing = new Map<number, string>();

  constructor(parts: RoundsParts) {
    this.#surroundings = parts.surroundings;
    this.#members = parts.members;
    this.#handshakes = parts.handshakes;
    this.#out = parts.out;
    this.#deadline = parts.deadline;
  }

  /** As the log says. A reserved generation is begun again: its members have to join. */
  restore(value: GroupMetadataValue, nowMs: number): void {
    this.generation.protocolType = value.protocolType;
    this.generation.number = value.generation;
    this.generation.protocol = value.protocol ?? undefined;
    for (const one of value.members) this.#members.add(restoredMember(one, value.protocol, nowMs));
    if (value.members.length === 0) return;
    if (value.leader !== null && this.#members.find(value.leader) !== undefined) {
      this.generation.leader = value.leader;
      this.#state = 'Stable';
    } else {
      this.#state = 'PreparingRebalance';
      this.#joinDeadlineMs = nowMs + this.#members.rebalanceTimeoutMs;
    }
  }

  get state(): GroupState {
    return this.#state;
  }

  /** The generation is on its way into the log, and nobody has been told of it. */
  get isReserving(): boolean {
    return this.#reserving !== undefined;
  }

  get nextDeadlineMs(): number {
    const nextMs = Math.min(this.#syncDeadlineMs, this.#initialDelay?.untilMs ?? never);
    return this.#state === 'PreparingRebalance' ? Math.min(nextMs, this.#joinDeadlineMs) : nextMs;
  }

  // Joining.

  memberAdded(): void {
    this.#initialDelay?.memberAdded();
  }

  /** Somebody came or went. */
  rebalanceOrGoOn(nowMs: number): void {
    if (this.#state === 'PreparingRebalance') this.tryCompleteJoin(nowMs);
    else this.prepareRebalance(nowMs);
  }

  prepareRebalance(nowMs: number): void {
    const isFirst = this.#state === 'Empty';
    // Whoever waits for an assignment of the generation that is given up joins the next one.
    for (const member of this.#members) this.#out.refuseSyncOf(member, 'REBALANCE_IN_PROGRESS');
    this.#assigning = undefined;
    this.#reserving = undefined;
    this.#fencing.clear();
    this.#syncDeadlineMs = never;
    this.#state = 'PreparingRebalance';
    this.#joinDeadlineMs = this.#deadline.by(nowMs + this.#members.rebalanceTimeoutMs);
    const { initialRebalanceDelayMs } = this.#surroundings.settings;
    if (isFirst && initialRebalanceDelayMs > 0) {
      this.#initialDelay = new InitialDelay(initialRebalanceDelayMs, this.#members.rebalanceTimeoutMs, nowMs);
      this.#deadline.by(this.#initialDelay.untilMs);
    }
    this.tryCompleteJoin(nowMs);
  }

  tryCompleteJoin(nowMs: number): void {
    if (this.#state !== 'PreparingRebalance' || this.#initialDelay !== undefined || this.#handshakes.size > 0) return;
    for (const { joinToken } of this.#members) if (joinToken === undefined) return;
    this.#completeJoin(nowMs);
  }

  #completeJoin(nowMs: number): void {
    this.#initialDelay = undefined;
    for (const member of [...this.#members]) {
      if (member.joinToken === undefined && member.instanceId === '') this.remove(member);
    }
    const joined = [...this.#members].filter(({ joinToken }) => joinToken !== undefined);
    if (this.#members.size > 0 && joined.length === 0) {
      // Static members are away until their sessions end; there is nobody to lead.
      this.#joinDeadlineMs = this.#deadline.by(nowMs + this.#members.rebalanceTimeoutMs);
      return;
    }
    this.#joinDeadlineMs = never;
    this.generation.number++;
    if (this.#members.size === 0) {
      this.#becomeEmpty();
      return;
    }
    if (!joined.some(({ id }) => id === this.generation.leader)) this.generation.leader = joined[0]?.id;
    // Static members that are away were counted when the others joined; they can have lost the common protocol with nobody.
    this.generation.protocol = electProtocol([...this.#members]) ?? electProtocol(joined);
    this.#state = 'CompletingRebalance';
    for (const member of this.#members) member.assignment = noBytes;
    this.#reserving = this.#out.write(this.#value(undefined));
  }

  #becomeEmpty(): void {
    this.#state = 'Empty';
    this.generation.protocol = undefined;
    this.generation.leader = undefined;
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
      this.#out.answerJoinOf(member, this.joined(member));
      member.owesSync = true;
      member.isNew = false;
      this.#deadline.heard(member, nowMs);
    }
    this.#syncDeadlineMs = this.#deadline.by(nowMs + this.#members.rebalanceTimeoutMs);
  }

  /** Members that are too large together for the log are out: they would come back with the same metadata for ever. */
  #reservationFailed(joined: readonly Member[], failure: GroupError, nowMs: number): void {
    this.#state = 'PreparingRebalance';
    this.#joinDeadlineMs = this.#deadline.by(nowMs + this.#members.rebalanceTimeoutMs);
    for (const member of joined) {
      this.#out.answerJoinOf(member, { ok: false, error: failure });
      this.#deadline.heard(member, nowMs);
      if (failure === 'MESSAGE_TOO_LARGE') this.remove(member);
    }
    if (this.#members.size === 0) this.#completeJoin(nowMs);
  }

  // Assignments.

  /**
   * The leader has assigned; only its first word counts. Assignments of members that the group does not know are dropped, members that are left out get
   * nothing.
   */
  assign(assignments: ReadonlyMap<string, Uint8Array>): void {
    if (this.#assigning !== undefined) return;
    const known = new Map([...assignments].filter(([id]) => this.#members.find(id) !== undefined));
    this.#assigning = { ticket: this.#out.write(this.#value(known)), assignments: known };
  }

  #assignmentsWritten(failure: GroupError | undefined, nowMs: number): void {
    const assignments = this.#assigning?.assignments ?? new Map<string, Uint8Array>();
    this.#assigning = undefined;
    if (failure !== undefined) {
      for (const member of this.#members) this.#out.refuseSyncOf(member, failure);
      this.prepareRebalance(nowMs);
      return;
    }
    this.#state = 'Stable';
    for (const member of this.#members) {
      member.assignment = assignments.get(member.id) ?? noBytes;
      if (member.syncToken === undefined) continue;
      this.#out.answerSync(member.syncToken, this.synced(member));
      member.syncToken = undefined;
      this.#deadline.heard(member, nowMs);
    }
  }

  /** What became of a write. A ticket that nobody waits for any more belongs to a round that was given up. */
  written(ticket: number, outcome: Written, nowMs: number): void {
    if (this.#state === 'Dead') return;
    const failure = failureOf[outcome];
    if (ticket === this.#reserving) this.#generationReserved(failure, nowMs);
    else if (ticket === this.#assigning?.ticket) this.#assignmentsWritten(failure, nowMs);
    else this.#fenced(ticket, failure);
  }

  #fenced(ticket: number, failure: GroupError | undefined): void {
    const member = this.#members.find(this.#fencing.get(ticket) ?? '');
    this.#fencing.delete(ticket);
    if (member === undefined || this.#state !== 'Stable') return;
    const answer = failure === undefined ? this.joined(member) : ({ ok: false, error: failure } as const);
    this.#out.answerJoinOf(member, answer);
  }

  // Time.

  /** Returns members that were told of a generation, and never asked what is theirs. */
  tick(nowMs: number): readonly Member[] {
    if (this.#initialDelay?.isOver(nowMs)) this.#initialDelay = undefined;
    this.tryCompleteJoin(nowMs);
    if (this.#state === 'PreparingRebalance' && this.#joinDeadlineMs <= nowMs) this.#completeJoin(nowMs);
    if (this.#syncDeadlineMs > nowMs) return [];
    this.#syncDeadlineMs = never;
    return [...this.#members].filter(({ owesSync }) => owesSync);
  }

  // The end.

  /** Nothing follows from any event any more. */
  end(): void {
    this.#state = 'Dead';
  }

  remove(member: Member): void {
    this.#members.remove(member);
    if (this.generation.leader === member.id) this.generation.leader = undefined;
  }

  /** The stable generation is written anew, for a member of it has another id: that one waits to join until its former id is gone from the log. */
  fence(memberId: string): void {
    const assignments = new Map([...this.#members].map(({ id, assignment }) => [id, assignment]));
    this.#fencing.set(this.#out.write(this.#value(assignments)), memberId);
  }

  /** `assignments` undefined: a reservation. */
  #value(assignments: ReadonlyMap<string, Uint8Array> | undefined): GroupMetadataValue {
    return this.generation.value(this.#members, assignments, this.#surroundings.wallMs());
  }

  joined(member: Member): Joined {
    return this.generation.joined(member, this.#members, this.#state === 'Stable');
  }

  synced(member: Member): Synced {
    return this.generation.synced(member);
  }
}

const failureOf = {
  committed: undefined,
  unknown: 'COORDINATOR_NOT_AVAILABLE',
  'too-large': 'MESSAGE_TOO_LARGE',
} as const;
