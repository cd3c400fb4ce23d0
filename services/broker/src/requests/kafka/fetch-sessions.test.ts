import { describe, expect, test } from 'vitest';
import { type FetchPlan, FetchSessions } from './fetch-sessions.ts';

const told = { errorCode: 0, hasRecords: false, isDiverging: false, highWatermark: 5, logStartOffset: 0 };

function setUp() {
  let nowMs = 0;
  let nextId = 0;
  const sessions = new FetchSessions(
    () => nowMs,
    () => nextId++,
  );
  const request = (
    sessionId: number,
    sessionEpoch: number,
    partitions: readonly number[] = [],
    forgotten: readonly number[] = [],
  ) => ({
    sessionId,
    sessionEpoch,
    topics: [
      {
        topic: 't',
        topicId: '',
        partitions: partitions.map((partition) => ({
          partition,
          fetchOffset: 0,
          currentLeaderEpoch: -1,
          lastFetchedEpoch: -1,
          partitionMaxBytes: 1,
        })),
      },
    ],
    forgottenTopics: [{ topic: 't', topicId: '', partitions: forgotten }],
  });
  const plan = (...args: Parameters<typeof request>) => sessions.plan(request(...args), false) as FetchPlan;
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { sessions, request, plan, pass };
}

const numbers = ({ partitions }: FetchPlan) => partitions.map(({ partition }) => partition);

describe('KIP-227', () => {
  test('epoch -1 opens none, epoch 0 opens one, which goes on with epoch 1', () => {
    const { plan, sessions } = setUp();
    expect(plan(0, -1, [1]).session).toBeUndefined();
    const { session, isIncremental } = plan(0, 0, [1, 2]);
    expect(isIncremental).toBe(false);
    const next = plan(session?.id ?? -1, 1, [3], [1]);
    expect(next).toMatchObject({ isIncremental: true, session });
    expect(numbers(next)).toEqual([2, 3]);
    expect(sessions.count).toBe(1);
  });

  test('70 for an unknown session, 71 for another epoch, 106 for ids in a session of names', () => {
    const { plan, sessions, request } = setUp();
    const id = plan(0, 0, [1]).session?.id ?? -1;
    expect(plan(99, 1)).toEqual({ kind: 'refused', errorCode: 70 });
    expect(plan(id, 2)).toEqual({ kind: 'refused', errorCode: 71 });
    expect(plan(0, 1)).toEqual({ kind: 'refused', errorCode: 71 });
    expect(sessions.plan(request(id, 1), true)).toEqual({ kind: 'refused', errorCode: 106 });
  });

  test('a partition is told when it has records, an error, or another high watermark; after an error again', () => {
    const { plan } = setUp();
    const { session, partitions } = plan(0, 0, [1]);
    const [one] = partitions as [FetchPlan['partitions'][number]];
    const tells = (news: Partial<typeof told>) => session?.tells(one, { ...told, ...news });
    expect(tells({})).toBe(true);
    expect(tells({})).toBe(false);
    expect(tells({ hasRecords: true })).toBe(true);
    expect(tells({ highWatermark: 6 })).toBe(true);
    expect(tells({ highWatermark: 6 })).toBe(false);
    expect(tells({ errorCode: 6, highWatermark: -1 })).toBe(true);
    expect(tells({ errorCode: 6, highWatermark: -1 })).toBe(true);
    expect(tells({ highWatermark: 6 })).toBe(true);
  });

  test('who got records goes to the end of the list', () => {
    const { plan } = setUp();
    const { session, partitions } = plan(0, 0, [1, 2, 3]);
    session?.tells(partitions[0] as FetchPlan['partitions'][number], { ...told, hasRecords: true });
    expect(numbers(plan(session?.id ?? -1, 1))).toEqual([2, 3, 1]);
  });

  test('sessions are bounded: a new one takes the place of one that is long unused, or is declined', () => {
    const { plan, pass, sessions } = setUp();
    const first = plan(0, 0, [1]).session?.id ?? -1;
    for (let i = 1; i < 1_000; i++) plan(0, 0, [1]);
    expect(plan(0, 0, [1]).session).toBeUndefined();
    pass(120_000);
    plan(first, 1);
    expect(plan(0, 0, [1]).session).toBeDefined();
    expect(sessions.count).toBe(1_000);
    expect(plan(first, 2).kind).toBe('fetch');
  });

  test('partitions of all sessions are bounded', () => {
    const { plan } = setUp();
    const many = Array.from({ length: 150_000 }, (_, i) => i);
    expect(plan(0, 0, many).session).toBeDefined();
    expect(plan(0, 0, many).session).toBeUndefined();
  });
});
