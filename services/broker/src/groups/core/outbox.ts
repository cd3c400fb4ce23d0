import type { GroupMetadataValue } from '../records/group-metadata-value.ts';
import type { Failed, GroupEffect, GroupError, Joined, Synced, Token } from './group-types.ts';
import type { Member } from './member.ts';

/** What a group's event brings about. A request that waits is answered exactly once: a member has one of each kind at most. */
export class Outbox {
  #effects: GroupEffect[] = [];
  #ticket = 0;

  take(): readonly GroupEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** Returns the ticket. */
  write(value: GroupMetadataValue): number {
    const ticket = ++this.#ticket;
    this.#effects.push({ kind: 'write', ticket, value });
    return ticket;
  }

  answerJoin(token: Token, answer: Joined | Failed): void {
    this.#effects.push({ kind: 'join-answered', token, answer });
  }

  answerSync(token: Token, answer: Synced | Failed): void {
    this.#effects.push({ kind: 'sync-answered', token, answer });
  }

  /** A client that asks again has given its former request up. */
  waitInJoin(member: Member, token: Token): void {
    this.answerJoinOf(member, { ok: false, error: 'REBALANCE_IN_PROGRESS' });
    member.joinToken = token;
  }

  answerJoinOf(member: Member, answer: Joined | Failed): void {
    if (member.joinToken !== undefined) this.answerJoin(member.joinToken, answer);
    member.joinToken = undefined;
  }

  refuseSyncOf(member: Member, error: GroupError): void {
    if (member.syncToken !== undefined) this.answerSync(member.syncToken, { ok: false, error });
    member.syncToken = undefined;
  }

  answerWaiting(member: Member, error: GroupError): void {
    this.answerJoinOf(member, { ok: false, error });
    this.refuseSyncOf(member, error);
  }
}
