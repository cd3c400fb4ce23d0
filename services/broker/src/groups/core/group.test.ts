import { beforeEach, describe, expect, test } from 'vitest';
import type { GroupMetadataValue } from '../records/group-metadata-value.ts';
import { Group } from './group.ts';
import type { Failed, GroupEffect, Joined, JoinRequest, Synced } from './group-types.ts';

const initialDelayMs = 3_000;
let nowMs: number;
let group: Group;
let token: number;
let written: { ticket: number; value: GroupMetadataValue }[];
let joins: Map<number, Joined | Failed>;
let syncs: Map<number, Synced | Failed>;

function make(initialRebalanceDelayMs = 0, membersMax = 10): void {
  nowMs = 0;
  token = 0;
  written = [];
  joins = new Map();
  syncs = new Map();
  let ids = 0;
  const settings = {
    initialRebalanceDelayMs,
    sessionTimeoutMsMin: 6_000,
    sessionTimeoutMsMax: 1_800_000,
    membersMax,
  };
  group = new Group('g', { settings, newMemberId: (prefix) => `${prefix}-${++ids}`, wallMs: () => 77 });
}

beforeEach(() => make());

function take(effects: readonly GroupEffect[]): void {
  for (const effect of effects) {
    if (effect.kind === 'write') written.push(effect);
    else if (effect.kind === 'join-answered') joins.set(effect.token, effect.answer);
    else syncs.set(effect.token, effect.answer);
  }
}

/** Returns the token. */
function join(fields: Partial<JoinRequest> & { metadata?: string } = {}): number {
  token++;
  const { metadata = '', ...rest } = fields;
  const request: JoinRequest = {
    memberId: '',
    instanceId: '',
    clientId: 'c',
    clientHost: '/h',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 20_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from(metadata) }],
    admitWithoutMemberId: true,
    ...rest,
  };
  take(group.join(request, token, nowMs));
  return token;
}

function replicate(): void {
  for (const { ticket } of written.splice(0)) take(group.written(ticket, 'committed', nowMs));
}

function sync(memberId: string, assignments: Record<string, string> = {}, generation = group.generation): number {
  token++;
  const bytes = new Map(Object.entries(assignments).map(([id, text]) => [id, Buffer.from(text) as Uint8Array]));
  const request = { memberId, instanceId: '', generation, protocolType: '', protocol: '', assignments: bytes };
  take(group.sync(request, token, nowMs));
  return token;
}

function advance(ms: number): void {
  nowMs += ms;
  take(group.tick(nowMs));
}

function joinedAs(of: number): Joined {
  const answer = joins.get(of);
  if (answer?.ok !== true) throw new Error(`not joined: ${JSON.stringify(answer)}`);
  return answer;
}

/** A stable group of so many members; their ids, the leader first. */
function stable(count: number, fields: (index: number) => Partial<JoinRequest> = () => ({})): string[] {
  const all: number[] = [];
  for (let i = 0; i < count; i++) {
    const fresh = join(fields(i));
    // Those who are in come back for the newcomer.
    const back = all.map((one, j) => join({ ...fields(j), memberId: joinedAs(one).memberId }));
    all.splice(0, all.length, ...back, fresh);
    replicate();
  }
  const ids = all.map((one) => joinedAs(one).memberId);
  const [leader] = ids as [string];
  sync(leader, Object.fromEntries(ids.map((id) => [id, `of ${id}`])));
  replicate();
  for (const id of ids.slice(1)) sync(id);
  expect(group.state).toBe('Stable');
  return ids;
}

const claim = (memberId: string, generation = group.generation) => ({ memberId, instanceId: '', generation });

describe('joining', () => {
  test('KIP-394: an id first; whoever does not come back with it holds nobody up for longer than a session', () => {
    const first = join({ admitWithoutMemberId: false });
    expect(joins.get(first)).toEqual({ ok: false, error: 'MEMBER_ID_REQUIRED', memberId: 'c-1' });
    const second = join();
    replicate();
    expect(joins.has(second)).toBe(false);
    advance(10_000);
    replicate();
    expect(joinedAs(second)).toMatchObject({ generation: 1 });
  });

  test('the answer waits for the reservation of the generation; only the leader learns of the members', () => {
    const [leader, follower] = stable(2) as [string, string];
    const back = [join({ memberId: leader }), join({ memberId: follower })];
    expect(joins.size + syncs.size).toBeGreaterThan(0);
    expect(back.some((one) => joins.has(one))).toBe(false);
    expect(written.at(-1)?.value).toMatchObject({ generation: 3, leader: null, protocol: 'range' });
    replicate();
    expect(joinedAs(back[0] as number).members.map(({ memberId }) => memberId)).toEqual([leader, follower]);
    expect(joinedAs(back[1] as number)).toMatchObject({ generation: 3, leader, members: [] });
  });

  test.each([
    ['INVALID_SESSION_TIMEOUT', { sessionTimeoutMs: 5_999 }],
    ['INVALID_SESSION_TIMEOUT', { sessionTimeoutMs: 1_800_001 }],
    ['INCONSISTENT_GROUP_PROTOCOL', { protocolType: 'connect' }],
    ['INCONSISTENT_GROUP_PROTOCOL', { protocolType: '' }],
    ['INCONSISTENT_GROUP_PROTOCOL', { protocols: [] }],
    ['INCONSISTENT_GROUP_PROTOCOL', { protocols: [{ name: 'sticky', metadata: new Uint8Array() }] }],
    ['UNKNOWN_MEMBER_ID', { memberId: 'nobody' }],
  ] as const)('%s for %o', (error, fields) => {
    stable(1);
    expect(joins.get(join(fields))).toMatchObject({ ok: false, error });
    expect(group.state).toBe('Stable');
  });

  test('group.max.size', () => {
    make(0, 1);
    stable(1);
    expect(joins.get(join())).toMatchObject({ error: 'GROUP_MAX_SIZE_REACHED' });
  });

  test('the protocol that all have and most prefer', () => {
    const bytes = new Uint8Array();
    const both = [
      { name: 'sticky', metadata: bytes },
      { name: 'range', metadata: bytes },
    ];
    const ids = stable(3, (i) => ({ protocols: i === 1 ? [...both].reverse() : both }));
    expect(group.protocol).toBe('sticky');
    join();
    for (const memberId of ids) join({ memberId, protocols: both });
    expect(group.protocol).toBe('range');
  });

  test('KIP-134: the first round waits for those who start together', () => {
    make(initialDelayMs);
    const first = join();
    advance(2_000);
    const second = join();
    advance(1_000);
    expect(group.state).toBe('PreparingRebalance');
    advance(initialDelayMs);
    replicate();
    expect([joinedAs(first).generation, joinedAs(second).generation]).toEqual([1, 1]);
  });

  test('who does not come back within the rebalance timeout is out', () => {
    const [leader, silent] = stable(2) as [string, string];
    const back = join({ memberId: leader });
    advance(5_000);
    expect(group.heartbeat(claim(silent), nowMs)).toBe('REBALANCE_IN_PROGRESS');
    for (let i = 0; i < 4; i++) {
      advance(5_000);
      group.heartbeat(claim(silent), nowMs);
    }
    replicate();
    expect(joinedAs(back)).toMatchObject({ generation: 3, members: [{ memberId: leader }] });
    expect(group.heartbeat(claim(silent), nowMs)).toBe('UNKNOWN_MEMBER_ID');
  });

  test('a follower that asks again with the same is answered at once; with something else everybody joins again', () => {
    const [, follower] = stable(2) as [string, string];
    expect(joinedAs(join({ memberId: follower })).generation).toBe(2);
    expect(group.state).toBe('Stable');
    join({ memberId: follower, metadata: 'more topics' });
    expect(group.state).toBe('PreparingRebalance');
  });
});

describe('syncing', () => {
  test('everybody is answered when the assignments are replicated, and not before (G2)', () => {
    const [leader, follower] = stable(2) as [string, string];
    const back = [join({ memberId: leader }), join({ memberId: follower })];
    replicate();
    expect(back.map((one) => joinedAs(one).generation)).toEqual([3, 3]);
    const waiting = [sync(follower), sync(leader, { [follower]: 'x', stranger: 'y' })];
    expect(waiting.some((one) => syncs.has(one))).toBe(false);
    expect(group.checkCommit(claim(leader), nowMs)).toBe('REBALANCE_IN_PROGRESS');
    replicate();
    expect(syncs.get(waiting[0] as number)).toMatchObject({ ok: true, assignment: Buffer.from('x') });
    expect(syncs.get(waiting[1] as number)).toMatchObject({ ok: true, assignment: new Uint8Array() });
  });

  test('assignments that are not known to be replicated: try again, in a higher generation', () => {
    const first = join();
    replicate();
    const leader = joinedAs(first).memberId;
    const waiting = sync(leader, { [leader]: 'x' });
    take(group.written(written.splice(0)[0]?.ticket ?? -1, 'unknown', nowMs));
    expect(syncs.get(waiting)).toEqual({ ok: false, error: 'COORDINATOR_NOT_AVAILABLE' });
    const back = join({ memberId: leader });
    replicate();
    expect(joinedAs(back).generation).toBe(2);
  });

  test('members that are too large together for the log hear it, and do not keep the group from others', () => {
    const waiting = join();
    take(group.written(written.splice(0)[0]?.ticket ?? -1, 'too-large', nowMs));
    expect(joins.get(waiting)).toEqual({ ok: false, error: 'MESSAGE_TOO_LARGE' });
    replicate();
    expect(group.state).toBe('Empty');
    stable(2);
    const [leader] = [...group.members].map(({ id }) => id) as [string];
    const back = join({ memberId: leader, metadata: 'other' });
    for (const { id } of [...group.members].slice(1)) join({ memberId: id });
    replicate();
    const assigning = sync(leader, { [leader]: 'x' }, joinedAs(back).generation);
    take(group.written(written.splice(0)[0]?.ticket ?? -1, 'too-large', nowMs));
    expect(syncs.get(assigning)).toEqual({ ok: false, error: 'MESSAGE_TOO_LARGE' });
  });

  test('old generations, strangers and other protocols are refused', () => {
    const [leader] = stable(1) as [string];
    expect(syncs.get(sync(leader, {}, 0))).toMatchObject({ error: 'ILLEGAL_GENERATION' });
    expect(syncs.get(sync('nobody'))).toMatchObject({ error: 'UNKNOWN_MEMBER_ID' });
    const request = { ...claim(leader), protocolType: 'consumer', protocol: 'sticky', assignments: new Map() };
    take(group.sync(request, ++token, nowMs));
    expect(syncs.get(token)).toMatchObject({ error: 'INCONSISTENT_GROUP_PROTOCOL' });
  });

  test('who was told of a generation and never asks for its share is out after the rebalance timeout', () => {
    const [leader, silent] = stable(2) as [string, string];
    join({ memberId: leader });
    join({ memberId: silent });
    replicate();
    sync(leader, {});
    replicate();
    for (let i = 0; i < 4; i++) {
      advance(5_000);
      for (const id of [leader, silent]) group.heartbeat(claim(id), nowMs);
    }
    expect(group.state).toBe('PreparingRebalance');
    expect([...group.members].map(({ id }) => id)).toEqual([leader]);
  });
});

describe('staying and going', () => {
  test('a session that ends, and a member that leaves, begin a new round', () => {
    const [leader, follower] = stable(2) as [string, string];
    advance(9_000);
    expect(group.heartbeat(claim(leader), nowMs)).toBeUndefined();
    advance(1_000);
    expect(group.heartbeat(claim(follower), nowMs)).toBe('UNKNOWN_MEMBER_ID');
    expect(group.heartbeat(claim(leader), nowMs)).toBe('REBALANCE_IN_PROGRESS');
    const { error, effects } = group.leave(leader, '', nowMs);
    take(effects);
    expect(error).toBeUndefined();
    expect(group.state).toBe('Empty');
    expect(written.at(-1)?.value).toMatchObject({ generation: 3, members: [], leader: null, stateTimestampMs: 77 });
  });

  test('who waits for its new generation to be written is told to join, not that its old one is illegal', () => {
    const [leader, follower] = stable(2) as [string, string];
    join({ memberId: leader });
    join({ memberId: follower });
    expect(group.heartbeat(claim(follower, 2), nowMs)).toBe('REBALANCE_IN_PROGRESS');
    expect(group.checkCommit(claim(follower, 2), nowMs)).toBe('ILLEGAL_GENERATION');
    replicate();
    expect(group.heartbeat(claim(follower, 2), nowMs)).toBe('ILLEGAL_GENERATION');
  });

  test('commits: members of the generation; from outside only while nobody is in (G4)', () => {
    const outside = claim('', -1);
    expect(group.checkCommit(outside, nowMs)).toBeUndefined();
    expect(group.checkCommit(claim('m', 3), nowMs)).toBe('ILLEGAL_GENERATION');
    const [leader] = stable(1) as [string];
    expect(group.checkCommit(claim(leader), nowMs)).toBeUndefined();
    expect(group.checkCommit(claim(leader, 0), nowMs)).toBe('ILLEGAL_GENERATION');
    expect(group.checkCommit(claim('nobody'), nowMs)).toBe('UNKNOWN_MEMBER_ID');
    expect(group.checkCommit(outside, nowMs)).toBe('UNKNOWN_MEMBER_ID');
    join();
    expect(group.state).toBe('PreparingRebalance');
    expect(group.checkCommit(claim(leader), nowMs)).toBeUndefined();
  });
});

describe('static members (KIP-345)', () => {
  const instance = (i: number): Partial<JoinRequest> => ({ instanceId: `i${i}` });
  const staticClaim = (memberId: string, i: number) => ({ ...claim(memberId), instanceId: `i${i}` });

  test('one that comes back keeps its share, without a rebalance, after its former id is fenced in the log (row 52)', () => {
    const [leader, former] = stable(2, instance) as [string, string];
    const back = join(instance(1));
    expect(joins.has(back)).toBe(false);
    const record = written.at(-1)?.value;
    replicate();
    const { memberId, generation } = joinedAs(back);
    expect(record?.members.map((member) => member.memberId)).toEqual([leader, memberId]);
    expect(generation).toBe(2);
    expect(group.state).toBe('Stable');
    expect(group.heartbeat(staticClaim(former, 1), nowMs)).toBe('FENCED_INSTANCE_ID');
    expect(group.checkCommit(staticClaim(former, 1), nowMs)).toBe('FENCED_INSTANCE_ID');
    const own = group.sync(
      { ...staticClaim(memberId, 1), protocolType: '', protocol: '', assignments: new Map() },
      99,
      0,
    );
    expect(own[0]).toMatchObject({ answer: { assignment: Buffer.from(`of ${former}`) } });
  });

  test('KIP-814: a leader that comes back is told to skip the assignment', () => {
    stable(2, instance);
    const back = join(instance(0));
    replicate();
    expect(joinedAs(back)).toMatchObject({ skipAssignment: true, leader: joinedAs(back).memberId });
    expect(joinedAs(back).members).toHaveLength(2);
  });

  test('one that wants something else begins a new round; its former id that waits is told that it is fenced', () => {
    const [, former] = stable(2, instance) as [string, string];
    join({ ...instance(0), memberId: [...group.members][0]?.id ?? '', metadata: 'new' });
    const waiting = join({ ...instance(1), memberId: former, metadata: 'x' });
    expect(joins.has(waiting)).toBe(false);
    join({ ...instance(1), metadata: 'y' });
    expect(joins.get(waiting)).toMatchObject({ error: 'FENCED_INSTANCE_ID' });
  });

  test('one that is away stays a member until its session ends', () => {
    const [leader] = stable(2, (i) => ({ ...instance(i), sessionTimeoutMs: 60_000 })) as [string];
    join({ ...instance(0), memberId: leader, metadata: 'new', sessionTimeoutMs: 60_000 });
    advance(20_000);
    replicate();
    expect(group.state).toBe('CompletingRebalance');
    expect(group.membersCount).toBe(2);
    advance(40_000);
    expect(group.membersCount).toBe(1);
  });

  test('it leaves by its instance id', () => {
    stable(2, instance);
    expect(group.leave('', 'i1', nowMs).error).toBeUndefined();
    expect(group.leave('', 'i1', nowMs).error).toBe('UNKNOWN_MEMBER_ID');
    expect(group.leave('other', 'i0', nowMs).error).toBe('FENCED_INSTANCE_ID');
  });
});

describe('another coordinator', () => {
  const settings = { initialRebalanceDelayMs: 0, sessionTimeoutMsMin: 1, sessionTimeoutMsMax: 100_000, membersMax: 9 };
  const surroundings = { settings, newMemberId: () => 'new', wallMs: () => 0 };

  test('of a generation with its assignments goes on as if nothing had happened (G7)', () => {
    const first = join();
    replicate();
    const leader = joinedAs(first).memberId;
    sync(leader, { [leader]: 'x' });
    const next = Group.restore('g', written.at(-1)?.value as GroupMetadataValue, surroundings, 0);
    expect(next.heartbeat(claim(leader, 1), 1)).toBeUndefined();
    next.tick(10_000);
    expect(next.membersCount).toBe(1);
    next.tick(10_001);
    expect(next.membersCount).toBe(0);
  });

  test('of a generation that was only reserved lets everybody join again, in a higher one (G2)', () => {
    join();
    const next = Group.restore('g', written.at(-1)?.value as GroupMetadataValue, surroundings, 0);
    const id = [...next.members][0]?.id ?? '';
    expect(next.heartbeat(claim(id, 1), 1)).toBe('REBALANCE_IN_PROGRESS');
    const request = { ...claim(id, 1), protocolType: '', protocol: '', assignments: new Map() };
    expect(next.sync(request, 5, 1)[0]).toMatchObject({ answer: { error: 'REBALANCE_IN_PROGRESS' } });
  });
});
