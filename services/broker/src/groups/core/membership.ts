import { consumerProtocolType } from '@naru/kafka-protocol';
import { assert } from '@naru/runtime';
import { subscribedTopics } from '../records/subscribed-topics.ts';
import type { Member } from './member.ts';

/** The members of a group in the order of their joining, and which of them is which instance. */
export class Membership implements Iterable<Member> {
  readonly #members = new Map<string, Member>();
  /** Instance id to member id. */
  readonly #instances = new Map<string, string>();

  get size(): number {
    return this.#members.size;
  }

  [Symbol.iterator](): Iterator<Member> {
    return this.#members.values();
  }

  find(id: string): Member | undefined {
    return this.#members.get(id);
  }

  get(id: string): Member {
    const member = this.#members.get(id);
    assert(member !== undefined, `there is no member ${id}`);
    return member;
  }

  /** Of the static member's current incarnation. */
  idOfInstance(instanceId: string): string | undefined {
    return this.#instances.get(instanceId);
  }

  /** Why a caller with these ids is not a member; undefined when it is one. */
  identityFault(memberId: string, instanceId: string): 'UNKNOWN_MEMBER_ID' | 'FENCED_INSTANCE_ID' | undefined {
    if (instanceId !== '') {
      const currentId = this.#instances.get(instanceId);
      if (currentId === undefined) return 'UNKNOWN_MEMBER_ID';
      if (currentId !== memberId) return 'FENCED_INSTANCE_ID';
    }
    return this.#members.has(memberId) ? undefined : 'UNKNOWN_MEMBER_ID';
  }

  /** The longest that a member gives the others. */
  get rebalanceTimeoutMs(): number {
    let timeoutMs = 0;
    for (const member of this.#members.values()) timeoutMs = Math.max(timeoutMs, member.rebalanceTimeoutMs);
    return timeoutMs;
  }

  /** Topics that a member consumes; undefined when that cannot be known. */
  subscribedTopics(protocolType: string): ReadonlySet<string> | undefined {
    if (this.#members.size === 0) return new Set();
    if (protocolType !== consumerProtocolType) return undefined;
    const all = new Set<string>();
    for (const { metadata } of [...this.#members.values()].flatMap(({ protocols }) => protocols)) {
      const topics = subscribedTopics(metadata);
      if (topics === undefined) return undefined;
      for (const topic of topics) all.add(topic);
    }
    return all;
  }

  add(member: Member): void {
    this.#members.set(member.id, member);
    if (member.instanceId !== '') this.#instances.set(member.instanceId, member.id);
  }

  /** In its place. */
  replace(former: Member, member: Member): void {
    const all = [...this.#members.values()].map((one) => (one === former ? member : one));
    this.#members.clear();
    for (const one of all) this.add(one);
  }

  remove(member: Member): void {
    this.#members.delete(member.id);
    if (this.#instances.get(member.instanceId) === member.id) this.#instances.delete(member.instanceId);
  }
}
