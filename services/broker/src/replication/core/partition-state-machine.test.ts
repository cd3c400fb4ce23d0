import { describe, expect, test } from 'vitest';
import type { Member, PartitionState } from '../../cluster/partition-state.ts';
import type { IsrProposal } from './in-sync-replicas.ts';
import { type LeaderTerm, proposalRetryMs, type ReplicationRules } from './leader-state.ts';
import { type Effect, PartitionStateMachine } from './partition-state-machine.ts';

const member = (brokerId: number, brokerEpoch = 100 + brokerId): Member => ({ brokerId, brokerEpoch });
const self = member(1);
const everyone = new Map([1, 2, 3].map((id) => [id, 100 + id]));
const durable: ReplicationRules = { minInSyncReplicas: 1, lagTimeMaxMs: 1_000, flushBeforeAck: true };

function stateOf(isr: readonly Member[], elr: readonly Member[] = [], leaderEpoch = 5): PartitionState {
  return { leader: 1, leaderEpoch, isr, elr, controllerEpoch: 1 };
}

interface Setup {
  readonly isr?: readonly Member[];
  readonly elr?: readonly Member[];
  readonly end?: number;
  readonly highWatermark?: number;
  readonly rules?: Partial<ReplicationRules>;
}

/** Broker 1 leads in epoch 5 from version 7 of the state, with its log `end` long and durable. */
class Leader {
  readonly machine: PartitionStateMachine;
  readonly effects: Effect[] = [];
  readonly #term: LeaderTerm;
  nowMs = 0;

  constructor({ isr = [self, member(2), member(3)], elr = [], end = 10, highWatermark = 0, rules = {} }: Setup = {}) {
    const restored = { logStartOffset: 0, logEndOffset: end, flushedOffset: end, highWatermark };
    this.machine = new PartitionStateMachine(restored, { ...durable, ...rules }, everyone);
    this.#term = { self, replicas: [1, 2, 3], state: stateOf(isr, elr), version: 7, epochStartOffset: end };
    this.#note(this.machine.lead(this.#term, this.nowMs));
  }

  append(count: number, flush = true): void {
    const end = this.machine.logEndOffset + count;
    this.#note(this.machine.appended(end));
    if (flush) this.#note(this.machine.flushed(end));
  }

  fetch(brokerId: number, offset: number, { flushed = offset, epoch = 100 + brokerId } = {}): void {
    const fetch = { brokerId, brokerEpoch: epoch, fetchOffset: offset, flushedOffset: flushed };
    this.#note(this.machine.followerFetched(fetch, this.nowMs));
  }

  answer(outcome: Parameters<PartitionStateMachine['proposalAnswered']>[2]): void {
    this.#note(this.machine.proposalAnswered(this.#term, this.proposal as IsrProposal, outcome, this.nowMs));
  }

  observe(state: PartitionState, version: number): void {
    this.#note(this.machine.stateObserved(state, version, this.nowMs));
  }

  after(ms: number): void {
    this.nowMs += ms;
    this.#note(this.machine.tick(this.nowMs));
  }

  /** The last one made. */
  get proposal(): IsrProposal | undefined {
    const proposals = this.effects.filter((effect) => effect.kind === 'propose-isr');
    return proposals.at(-1)?.proposal;
  }

  get proposals(): number {
    return this.effects.filter((effect) => effect.kind === 'propose-isr').length;
  }

  get maximal(): readonly number[] | undefined {
    return this.machine.leader?.inSync.maximal.map((m) => m.brokerId);
  }

  #note(effects: readonly Effect[]): void {
    this.effects.push(...effects);
  }
}

describe('the high watermark', () => {
  test('R4: is what every member of the ISR has on its disk', () => {
    const leader = new Leader();
    leader.append(10);
    leader.fetch(2, 20);
    expect(leader.machine.highWatermark).toBe(0);
    leader.fetch(3, 20, { flushed: 15 });
    expect(leader.machine.highWatermark).toBe(15);
    leader.fetch(3, 20);
    expect(leader.machine.highWatermark).toBe(20);
  });

  test('waits for the disk of the leader, too', () => {
    const leader = new Leader();
    leader.append(10, false);
    leader.fetch(2, 20);
    leader.fetch(3, 20);
    expect(leader.machine.highWatermark).toBe(10);
    leader.machine.flushed(20);
    expect(leader.machine.highWatermark).toBe(20);
  });

  test('counts appended records without flush.before.ack', () => {
    const leader = new Leader({ rules: { flushBeforeAck: false } });
    leader.append(10, false);
    leader.fetch(2, 20, { flushed: 0 });
    leader.fetch(3, 20, { flushed: 0 });
    expect(leader.machine.highWatermark).toBe(20);
  });

  test('row 4: stands still until every member has fetched in this leader epoch', () => {
    const leader = new Leader({ end: 10 });
    leader.fetch(2, 10);
    expect(leader.machine.highWatermark).toBe(0);
    leader.fetch(3, 10);
    expect(leader.machine.highWatermark).toBe(10);
  });

  test('row 10: does not count the new incarnation of a member as the member', () => {
    const leader = new Leader();
    leader.fetch(2, 10);
    leader.fetch(3, 10, { epoch: 999 });
    expect(leader.machine.highWatermark).toBe(0);
  });

  test('rows 7, 8: is frozen below min.insync.replicas, and while anyone outside the ISR is eligible (KIP-966)', () => {
    const alone = new Leader({ isr: [self], elr: [member(2)], rules: { minInSyncReplicas: 2 } });
    alone.append(10);
    expect(alone.machine.highWatermark).toBe(0);
    const lowered = new Leader({ isr: [self], elr: [member(2)], rules: { minInSyncReplicas: 1 } });
    lowered.append(10);
    expect(lowered.machine.highWatermark, 'broker 2 may be elected').toBe(0);
    expect(lowered.proposal).toMatchObject({ isr: [self], elr: [] });
    lowered.answer({ kind: 'committed', version: 8 });
    expect(lowered.machine.highWatermark).toBe(20);
  });

  test('row 15: says nothing about the latest offset before it has passed the start of the epoch', () => {
    const leader = new Leader({ end: 10, highWatermark: 4 });
    expect(leader.machine.knowsLatestOffset).toBe(false);
    leader.fetch(2, 10);
    leader.fetch(3, 10);
    expect(leader.machine.knowsLatestOffset).toBe(true);
  });
});

describe('who joins the ISR', () => {
  const isr = [self, member(2)];

  test('R6: whoever has everything up to the high watermark, in the registered incarnation', () => {
    const leader = new Leader({ isr, highWatermark: 10 });
    leader.fetch(3, 9);
    expect(leader.proposal).toBeUndefined();
    leader.fetch(3, 10, { flushed: 9 });
    expect(leader.proposal, 'on its disk').toBeUndefined();
    leader.fetch(3, 10);
    expect(leader.proposal).toMatchObject({ baseVersion: 7, added: [member(3)], isr: [...isr, member(3)] });
  });

  test('row 9: not an incarnation that is not registered any more', () => {
    const leader = new Leader({ isr, highWatermark: 10 });
    leader.machine.registrationsChanged(new Map([...everyone, [3, 200]]), 0);
    leader.fetch(3, 10);
    expect(leader.proposal).toBeUndefined();
    leader.fetch(3, 10, { epoch: 200 });
    expect(leader.proposal?.added).toEqual([member(3, 200)]);
  });

  test('row 11: nobody below the start of the epoch, however old the high watermark of the new leader is', () => {
    const leader = new Leader({ isr, end: 10, highWatermark: 3 });
    leader.fetch(3, 9);
    expect(leader.proposal).toBeUndefined();
    leader.fetch(3, 10);
    expect(leader.proposal).toBeDefined();
  });

  test('row 10: a new incarnation takes the place of its predecessor', () => {
    const leader = new Leader({ isr, highWatermark: 10 });
    leader.machine.registrationsChanged(new Map([...everyone, [2, 200]]), 0);
    leader.fetch(2, 10, { epoch: 200 });
    expect(leader.proposal).toMatchObject({ isr: [self, member(2, 200)], added: [member(2, 200)] });
    leader.fetch(2, 10);
    expect(leader.machine.leader?.progressOf(2)?.brokerEpoch, 'the old one counts for nothing').toBe(200);
  });

  test('a refused member is not asked for again; whoever was to join with it is', () => {
    const leader = new Leader({ isr: [self], highWatermark: 10, end: 10 });
    leader.fetch(2, 10);
    leader.answer({ kind: 'refused', member: member(2) });
    leader.fetch(2, 10);
    expect(leader.proposals).toBe(1);
    leader.fetch(3, 10);
    expect(leader.proposal?.added).toEqual([member(3)]);
  });
});

describe('who leaves the ISR', () => {
  test('whoever has not caught up for replica.lag.time.max.ms', () => {
    const leader = new Leader();
    leader.append(10);
    leader.fetch(2, 20);
    leader.after(1_001);
    expect(leader.proposal).toMatchObject({ isr: [self, member(2)], elr: [] });
  });

  test('nobody who keeps up with a log that never stands still (KAFKA-1546)', () => {
    const leader = new Leader();
    for (let i = 0; i < 50; i++) {
      leader.append(10);
      // Always what was the end two fetches ago.
      for (const id of [2, 3])
        leader.fetch(id, leader.machine.logEndOffset - 5, { flushed: leader.machine.logEndOffset - 20 });
      leader.after(100);
    }
    expect(leader.proposals).toBe(0);
  });

  test('KIP-966: below min.insync.replicas whoever leaves stays eligible', () => {
    const leader = new Leader({ rules: { minInSyncReplicas: 2 } });
    leader.append(10);
    leader.after(1_001);
    expect(leader.proposal).toMatchObject({ isr: [self], elr: [member(2), member(3)] });
    leader.answer({ kind: 'committed', version: 8 });
    expect(leader.machine.leader?.isUnderMinInSync).toBe(true);
    leader.fetch(2, 20);
    expect(leader.proposal).toMatchObject({ isr: [self, member(2)], elr: [], added: [member(2)] });
  });

  test('and comes back by a fetch, not because the high watermark stands still without it', () => {
    const leader = new Leader({ rules: { minInSyncReplicas: 2 }, highWatermark: 10 });
    leader.fetch(2, 10);
    leader.append(10);
    leader.after(1_001);
    leader.answer({ kind: 'committed', version: 8 });
    leader.after(1_001);
    expect(leader.proposals).toBe(1);
    leader.fetch(2, 10);
    expect(leader.proposal?.added).toEqual([member(2)]);
  });

  test('row 10: a predecessor as soon as its successor fetches', () => {
    const leader = new Leader({ highWatermark: 10, end: 20 });
    leader.fetch(3, 0, { epoch: 200 });
    expect(leader.proposal?.isr).toEqual([self, member(2)]);
  });

  test('a follower that lost its log in the middle, at once', () => {
    const leader = new Leader();
    leader.append(10);
    leader.fetch(2, 20);
    leader.fetch(3, 20);
    leader.fetch(3, 0);
    leader.after(1);
    expect(leader.proposal?.isr).toEqual([self, member(2)]);
    expect(leader.machine.highWatermark).toBe(20);
  });
});

describe('a change of the ISR under way', () => {
  const isr = [self, member(2)];

  test('row 6: whoever may have been added counts until the change is committed or refused', () => {
    const leader = new Leader({ isr, highWatermark: 10 });
    leader.fetch(2, 10);
    leader.fetch(3, 10);
    expect(leader.maximal).toEqual([1, 2, 3]);
    leader.append(10);
    leader.fetch(2, 20);
    expect(leader.machine.highWatermark).toBe(10);
    leader.answer({ kind: 'refused', member: member(3) });
    expect(leader.maximal).toEqual([1, 2]);
    expect(leader.machine.highWatermark).toBe(20);
  });

  test('row 6: whoever may have been removed counts as long, too', () => {
    const leader = new Leader();
    leader.fetch(2, 10);
    leader.append(10);
    leader.fetch(2, 20);
    leader.after(1_001);
    expect(leader.proposal?.isr).toEqual([self, member(2)]);
    expect(leader.maximal).toEqual([1, 2, 3]);
    expect(leader.machine.highWatermark).toBe(0);
    leader.answer({ kind: 'committed', version: 8 });
    expect(leader.machine.highWatermark).toBe(20);
  });

  test('row 6: with an unknown outcome the maximal ISR stays until the version has moved', () => {
    const leader = new Leader({ isr, highWatermark: 10 });
    leader.fetch(3, 10);
    leader.answer({ kind: 'unknown' });
    expect(leader.maximal).toEqual([1, 2, 3]);
    leader.after(proposalRetryMs);
    expect(leader.proposals, 'the version has to be moved').toBe(2);
    expect(leader.proposal?.baseVersion).toBe(7);
    leader.answer({ kind: 'unknown' });
    leader.observe(stateOf([...isr, member(3)]), 8);
    expect(leader.machine.leader?.inSync.version).toBe(8);
    expect(leader.maximal).toEqual([1, 2, 3]);
  });

  test('row 24: after a conflict nothing is proposed before the winner is seen', () => {
    const leader = new Leader({ isr, highWatermark: 10 });
    leader.fetch(3, 10);
    leader.answer({ kind: 'conflict' });
    leader.fetch(3, 10);
    leader.after(5_000);
    expect(leader.proposals).toBe(1);
    leader.observe(stateOf([self]), 8);
    expect(leader.proposal).toMatchObject({ baseVersion: 8, isr: [self, member(3)] });
  });

  test('the metadata may tell of its success before the answer does', () => {
    const leader = new Leader({ isr, highWatermark: 10 });
    leader.fetch(3, 10);
    leader.observe(stateOf([...isr, member(3)]), 8);
    leader.answer({ kind: 'committed', version: 8 });
    expect(leader.effects.filter((effect) => effect.kind === 'isr-changed')).toHaveLength(1);
    expect(leader.proposals).toBe(1);
  });

  test('a leader that a committed ISR no longer has, or whose registration is gone, stops leading', () => {
    const seen = new Leader();
    seen.observe(stateOf([member(2)]), 8);
    expect(seen.machine.role).toBe('idle');
    const told = new Leader({ isr, highWatermark: 10 });
    told.fetch(3, 10);
    told.answer({ kind: 'not-registered' });
    expect(told.effects.at(-1)).toEqual({ kind: 'leadership-lost' });
  });
});

describe('roles', () => {
  test('R5: an epoch is led once, and epochs do not go back', () => {
    const { machine } = new Leader();
    const term = { self, replicas: [1], state: stateOf([self]), version: 9, epochStartOffset: 10 };
    expect(() => machine.lead(term, 0)).toThrow('R5');
    expect(() => machine.follow({ leader: 2, leaderEpoch: 5 })).toThrow('R5');
    machine.follow({ leader: 2, leaderEpoch: 6 });
    expect(() => machine.follow({ leader: 3, leaderEpoch: 5 })).toThrow('R5');
  });

  test('a follower takes over the high watermark of its leader as far as its log goes (L3)', () => {
    const { machine } = new Leader();
    machine.follow({ leader: 2, leaderEpoch: 6 });
    machine.leaderAnswered(50);
    expect(machine.highWatermark).toBe(10);
    expect(machine.truncated({ logStartOffset: 0, logEndOffset: 4, flushedOffset: 4 })).toBe(true);
    expect(machine.highWatermark).toBe(4);
  });
});
