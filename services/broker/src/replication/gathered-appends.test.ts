import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { batch, readAll } from '../log/testing/log-world.ts';
import { producerBatch } from '../log/testing/producer-batches.ts';
import { GatheredAppends } from './gathered-appends.ts';
import type { Partition } from './partition.ts';
import type { AppendOutcome } from './partition-outcomes.ts';
import { ReplicaWorld } from './testing/replica-world.ts';

interface Request {
  readonly records: Uint8Array;
  readonly requiresAll: boolean;
}

/** Two leaders of the same records: the first is given them together, the second one by one. */
async function twoLeaders(): Promise<{ world: ReplicaWorld; gathering: Partition; single: Partition }> {
  const world = new ReplicaWorld(1);
  await world.start();
  const [gathering, single] = [await world.replica(0), await world.replica(1)];
  for (const partition of [gathering, single]) await world.lead(partition, 5);
  return { world, gathering, single };
}

/** In one piece of work; each outcome in the place of its request. */
async function gather(
  gathered: GatheredAppends,
  partition: Partition,
  requests: readonly Request[],
): Promise<AppendOutcome[]> {
  const outcomes: AppendOutcome[] = [];
  const told: number[] = [];
  for (const [i, { records, requiresAll }] of requests.entries()) {
    const settle = (outcome: AppendOutcome): void => {
      told.push(i);
      outcomes[i] = outcome;
    };
    gathered.add(partition, { records: new Uint8Array(records), requiresAll, settle });
  }
  expect(told).toEqual([]);
  await null;
  expect(told).toEqual(requests.map((_, i) => i));
  return outcomes;
}

function appendEach(partition: Partition, requests: readonly Request[]): AppendOutcome[] {
  return requests.map(({ records, requiresAll }) => partition.append(new Uint8Array(records), requiresAll));
}

const plain = (count = 1, valueBytes = 50): Request => ({ records: batch(count, { valueBytes }), requiresAll: false });

interface Step {
  readonly producerId: number;
  readonly epoch: number;
  readonly kind: 'next' | 'again' | 'gap';
  readonly count: number;
}

/** Requests of idempotent producers, and of those without an id (-1). */
class Producers {
  readonly #sent = new Map<string, { readonly sequence: number; readonly count: number }[]>();

  request({ producerId, epoch, kind, count }: Step): Request {
    if (producerId < 0) return plain(count);
    const key = `${producerId}/${epoch}`;
    const sent = this.#sent.get(key) ?? [];
    this.#sent.set(key, sent);
    const last = sent.at(-1);
    const next = last === undefined ? 0 : last.sequence + last.count;
    let one = { sequence: kind === 'gap' ? next + 1 : next, count };
    if (kind === 'again') one = sent[Math.max(0, sent.length - count)] ?? one;
    else if (kind === 'next') sent.push(one);
    return { records: producerBatch({ producerId, epoch, ...one }), requiresAll: count > 1 };
  }
}

const producerId = fc.constantFrom(-1, 1, 2);
const epoch = fc.constantFrom(0, 0, 0, 1);
const kind = fc.constantFrom('next', 'next', 'next', 'next', 'again', 'gap' as const);
const count = fc.integer({ min: 1, max: 3 });
/** What comes in one read is one client's, as a rule. */
const piece: fc.Arbitrary<readonly Step[]> = fc.oneof(
  fc
    .record({ producerId, epoch, steps: fc.array(fc.record({ kind, count }), { minLength: 1, maxLength: 8 }) })
    .map((one) => one.steps.map((step) => ({ producerId: one.producerId, epoch: one.epoch, ...step }))),
  fc.array(fc.record({ producerId, epoch, kind, count }), { minLength: 1, maxLength: 30 }),
);

describe('appends of one piece of work', () => {
  test('end as if each had been appended by itself: offsets, duplicates, refusals (KIP-98, L1)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
        const { world, gathering, single } = await twoLeaders();
        const gathered = new GatheredAppends();
        const producers = new Producers();
        for (const steps of pieces) {
          const requests = steps.map((one) => producers.request(one));
          expect(await gather(gathered, gathering, requests)).toEqual(appendEach(single, requests));
        }
        expect(gathering.log.logEndOffset).toBe(single.log.logEndOffset);
        expect(await readAll(world, gathering.log)).toEqual(await readAll(world, single.log));
      }),
      { numRuns: 60 },
    );
  });

  test('are one write as long as they fit into a segment, whatever else is asked for', async () => {
    const { gathering, single } = await twoLeaders();
    const append = vi.spyOn(gathering.log, 'appendAsLeader');
    const gathered = new GatheredAppends();
    const other = gather(gathered, single, [plain()]);
    await gather(gathered, gathering, [plain(2), plain(), plain(3)]);
    await other;
    expect(append).toHaveBeenCalledTimes(1);
    await gather(
      gathered,
      gathering,
      Array.from({ length: 40 }, () => plain()),
    );
    const written = append.mock.calls.slice(1).map(([records]) => records.length);
    expect(written.length).toBeLessThan(8);
    expect(Math.max(...written)).toBeLessThanOrEqual(gathering.log.config['segment.bytes']);
  });

  test('a disk that becomes full fails only those for which there is no room, and the log goes on', async () => {
    const { world, gathering } = await twoLeaders();
    const gathered = new GatheredAppends();
    const [small, large, last] = [plain(), plain(8), plain()] as const;
    world.node.disk.fillUpAfter(small.records.length + last.records.length + 10);
    const outcomes = await gather(gathered, gathering, [small, large, last]);
    expect(outcomes).toMatchObject([
      { kind: 'appended', baseOffset: 0, endOffset: 1 },
      { kind: 'storage-failed', error: { code: 'full' } },
      { kind: 'appended', baseOffset: 1, endOffset: 2 },
    ]);
    world.node.disk.fillUpAfter(Number.POSITIVE_INFINITY);
    expect(await gather(gathered, gathering, [large, small])).toMatchObject([{ baseOffset: 2 }, { baseOffset: 10 }]);
  });

  test('acks=all is refused below min.insync.replicas, and leaves an acks=1 beside it alone (row 7)', async () => {
    const world = new ReplicaWorld(1);
    await world.start();
    const alone = await world.replica(0);
    await world.lead(alone, 5, [1]);
    alone.rulesChanged({ minInSyncReplicas: 2, lagTimeMaxMs: 10_000, flushBeforeAck: true });
    const outcomes = await gather(new GatheredAppends(), alone, [plain(), { ...plain(), requiresAll: true }, plain()]);
    expect(outcomes).toMatchObject([
      { kind: 'appended', baseOffset: 0 },
      { kind: 'not-enough-replicas' },
      { kind: 'appended', baseOffset: 1 },
    ]);
  });

  test('a leadership that ends before they are appended refuses all of them', async () => {
    const { gathering } = await twoLeaders();
    const outcomes = gather(new GatheredAppends(), gathering, [plain(), plain()]);
    gathering.rest();
    expect(await outcomes).toEqual([{ kind: 'not-leader' }, { kind: 'not-leader' }]);
    expect(gathering.log.logEndOffset).toBe(0);
  });
});
