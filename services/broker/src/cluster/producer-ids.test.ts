import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeProducerIdBlock, encodeProducerIdBlock } from './producer-id-block.ts';
import { ProducerIds, ProducerIdsUnavailableError, producerIdBlockSize } from './producer-ids.ts';
import { CoordinatorModel } from './testing/coordinator-model.ts';

const path = '/latest_producer_id_block';

async function take(ids: ProducerIds, count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, () => ids.next()));
}

describe('producer ids (KIP-98)', () => {
  test('blocks of 1,000 by compare-and-set; one write for a block, however many ask at once', async () => {
    const model = new CoordinatorModel();
    const session = model.openSession();
    const ids = new ProducerIds(1, () => session);
    expect(await take(ids, producerIdBlockSize)).toEqual(Array.from({ length: producerIdBlockSize }, (_, i) => i));
    expect(model.log.length).toBe(1);
    expect(JSON.parse(model.text(path))).toEqual({ version: 1, broker: 1, block_start: '0', block_end: '999' });
    expect(await ids.next()).toBe(1_000);
  });

  test('a broker that starts again takes a new block: what is left of the old one is never given', async () => {
    const model = new CoordinatorModel();
    const session = model.openSession();
    await take(new ProducerIds(1, () => session), 3);
    expect(await new ProducerIds(1, () => session).next()).toBe(1_000);
  });

  test('without a session, and with one that expired, the call may be tried again', async () => {
    const model = new CoordinatorModel();
    const session = model.openSession();
    let current: typeof session | undefined;
    const ids = new ProducerIds(1, () => current);
    await expect(ids.next()).rejects.toThrow(ProducerIdsUnavailableError);
    current = session;
    expect(await ids.next()).toBe(0);
  });

  test('each id is given once, whatever becomes of writes, answers and brokers', async () => {
    const step = fc.record({
      broker: fc.integer({ min: 0, max: 2 }),
      count: fc.integer({ min: 1, max: 1_500 }),
      fault: fc.constantFrom(undefined, 'lose-answer' as const, 'lose-request' as const),
      restarts: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const model = new CoordinatorModel();
        const sessions = [0, 1, 2].map(() => model.openSession());
        const brokers = sessions.map((session, id) => new ProducerIds(id, () => session));
        const given = new Set<number>();
        let count = 0;
        for (const step of steps) {
          const session = sessions[step.broker] as (typeof sessions)[number];
          if (step.fault !== undefined) session.faults.push(step.fault);
          if (step.restarts) brokers[step.broker] = new ProducerIds(step.broker, () => session);
          // Two brokers ask at the same time.
          const other = brokers[(step.broker + 1) % 3] as ProducerIds;
          const asked = [take(brokers[step.broker] as ProducerIds, step.count), take(other, 2)];
          for (const id of (await Promise.all(asked)).flat()) given.add(id);
          count += step.count + 2;
        }
        expect(given.size).toBe(count);
      }),
      { numRuns: 50 },
    );
  });
});

test.each([
  '{}',
  '{"version":2,"broker":1,"block_start":"0","block_end":"999"}',
  '{"version":1,"broker":1,"block_start":0,"block_end":999}',
  '{"version":1,"broker":1,"block_start":"0","block_end":"-1"}',
  '{"version":1,"broker":1,"block_start":"9","block_end":"8"}',
  '{"version":1,"broker":1,"block_start":"0","block_end":"9999999999999999"}',
])('a block that cannot be is refused: %s', (text) => {
  expect(() => decodeProducerIdBlock(path, Buffer.from(text))).toThrow(path);
});

test('a block is read as it was written', () => {
  const block = { brokerId: 3, first: 5_000, last: 5_999 };
  expect(decodeProducerIdBlock(path, encodeProducerIdBlock(block))).toEqual(block);
});
