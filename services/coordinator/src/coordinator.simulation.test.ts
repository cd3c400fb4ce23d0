import type { CoordinatorSession, WatchChange, Znode } from '@naru/coordinator-client';
import { describe, expect, test } from 'vitest';
import { SimulatedQuorum } from './testing/simulated-quorum.ts';

const seeds = [1, 2, 3];

function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

function textOf(node: Znode | undefined): string | undefined {
  return node && Buffer.from(node.data).toString();
}

describe.each(seeds)('three coordinators, seed %i', (seed) => {
  test('smoke', async () => {
    const quorum = await SimulatedQuorum.start({ seed });
    const client = quorum.addClient('client');
    const session = await quorum.open(client);
    console.log('leader', quorum.leader, 'at', quorum.sim.nowMs);
    const result = await quorum.sim.complete(session.write([{ kind: 'create', path: '/a', data: bytes('1') }]));
    console.log(result.zxid, quorum.sim.nowMs);
    expect(textOf(await quorum.sim.complete(session.getData('/a')))).toBe('1');
    await quorum.expectEqualStates();
    const old = quorum.leader;
    quorum.crash(old);
    const t = quorum.sim.nowMs;
    await quorum.sim.complete(
      session.write([{ kind: 'set-data', path: '/a', data: bytes('2') }]).catch((e) => console.log(e.code)),
    );
    console.log('took', quorum.sim.nowMs - t);
    await quorum.sim.complete(session.write([{ kind: 'set-data', path: '/a', data: bytes('2') }]));
    console.log('took', quorum.sim.nowMs - t);
    await quorum.restart(old);
    await quorum.expectEqualStates();
  });
});
