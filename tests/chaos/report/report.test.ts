import { describe, expect, test } from 'vitest';
import type { PartitionChange } from '../cluster/observer.ts';
import type { CellResult } from '../run/result.ts';
import { controllerLane, partitionLanes, registeredLane } from './lanes.ts';
import { electionCount, inSyncSteps } from './partition-history.ts';
import { reportHtml } from './report.ts';
import { timelineSvg } from './timeline.ts';

function state(
  atMs: number,
  leader: number,
  leaderEpoch: number,
  isr: number[],
  more: Partial<PartitionChange> = {},
): PartitionChange {
  return { kind: 'partition', atMs, topic: 'chaos', partition: 0, leader, leaderEpoch, isr, elr: [], ...more };
}

/** Broker 1 leads and dies at 10 s; broker 2 is elected, alone, broker 3 in the ELR; all are back at 17 s. */
const changes: CellResult['changes'] = [
  state(-500, 1, 0, [1, 2, 3]),
  state(-500, 2, 4, [2], { topic: '__consumer_offsets' }),
  ...[1, 2, 3].map((broker) => ({ kind: 'broker', atMs: -900, broker, isRegistered: true }) as const),
  { kind: 'controller', atMs: -800, broker: 1 },
  { kind: 'broker', atMs: 12_000, broker: 1, isRegistered: false },
  { kind: 'controller', atMs: 12_050, broker: 3 },
  state(12_100, 2, 1, [2], { elr: [3] }),
  { kind: 'broker', atMs: 16_500, broker: 1, isRegistered: true },
  state(17_000, 2, 1, [2, 3, 1]),
];

const result: CellResult = {
  cell: 'steady/kill-leader',
  seed: 5,
  network: 'namespaces',
  figures: {
    acked: 9_000,
    unknown: 1,
    failed: 2,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    torn: 0,
    availability: 0.83,
    longestGapMs: 2_345,
  },
  group: undefined,
  violations: [],
  faultFromMs: 10_000,
  faultToMs: 16_000,
  stopMs: 19_000,
  endMs: 20_000,
  unseen: 0,
  fullIsrMs: 1_000,
  acks: Array.from({ length: 190 }, (_, i) => (i > 100 && i < 122 ? 0 : 60)),
  changes,
  notes: [{ atMs: 10_000, text: 'kill -9 of broker-1' }],
  directory: '/kept/001-steady-kill-leader',
};

const failing: CellResult = {
  ...result,
  cell: 'large/kill-<any>',
  violations: [{ rule: 'C1', message: 'record 1:2 was acknowledged at 0@7, where nothing is' }],
  fullIsrMs: undefined,
};

describe('the lanes of a timeline', () => {
  test('a partition: who is in its ISR and ELR, who leads, when somebody was elected; partitions of other topics are not it', () => {
    const { lanes, hidden } = partitionLanes(changes);
    expect(lanes.map(({ name }) => name)).toEqual(['chaos-0', 'offsets-0']);
    expect(hidden).toBe(0);
    const [lane] = lanes;
    expect(lane?.marks).toEqual([12_100]);
    expect(lane?.stretches.map(({ broker, look, fromMs, toMs }) => [broker, look, fromMs, toMs])).toEqual([
      [1, 'full', -500, 12_100],
      [2, 'pale', -500, 12_100],
      [3, 'pale', -500, 12_100],
      [2, 'full', 12_100, 17_000],
      [3, 'outlined', 12_100, 17_000],
      [2, 'full', 17_000, undefined],
      [3, 'pale', 17_000, undefined],
      [1, 'pale', 17_000, undefined],
    ]);
    expect(electionCount(changes, 20_000)).toBe(1);
    expect(electionCount(changes, 12_000)).toBe(0);
  });

  test('eight partitions are drawn, the others counted, all of them in the curve of replicas in sync', () => {
    const many = Array.from({ length: 50 }, (_, partition) => state(partition, 1, 0, [1, 2, 3], { partition }));
    expect(partitionLanes(many)).toMatchObject({ lanes: { length: 8 }, hidden: 42 });
    expect(inSyncSteps([...many, state(99, 1, 0, [1, 2])]).slice(-2)).toEqual([
      { atMs: 49, members: 150 },
      { atMs: 99, members: 149 },
    ]);
    expect(timelineSvg({ ...result, changes: many })).toContain('and 42 more');
  });

  test('who is registered, and who is the controller', () => {
    expect(registeredLane(changes).stretches.map(({ broker, fromMs, toMs }) => [broker, fromMs, toMs])).toEqual([
      [1, -900, 12_000],
      [2, -900, undefined],
      [3, -900, undefined],
      [1, 16_500, undefined],
    ]);
    expect(controllerLane(changes).stretches.map(({ broker, toMs }) => [broker, toMs])).toEqual([
      [1, 12_050],
      [3, undefined],
    ]);
  });
});

describe('the page', () => {
  const page = reportHtml(
    [result, failing],
    [{ cell: 'steady/full-disk-leader', reason: 'mounting is <not> permitted' }],
    ['network: namespaces'],
  );

  test('needs no other file', () => {
    expect(page).not.toMatch(/<script|<link|<img|url\(|https?:/);
  });

  test('tells the sum, then what failed before the rest: its rule, its directory, how to run it again', () => {
    expect(page).toContain('2 runs of 2 cells, 1 FAILED, 1 cells skipped');
    expect(page.indexOf('large/kill')).toBeLessThan(page.indexOf('steady/kill-leader'));
    expect(page).toContain('C1: what was acknowledged with acks=all can be read at the offset of its acknowledgement');
    expect(page).toContain('kept in <code>/kept/001-steady-kill-leader</code>');
    expect(page).toContain('npm run chaos -- --cell large/kill-&lt;any&gt; --seed 5 --once');
    expect(page).toContain('mounting is &lt;not&gt; permitted');
  });

  test('without any run it says so, and is not green', () => {
    const empty = reportHtml([], [], []);
    expect(empty).toContain('nothing was shown');
    expect(empty).not.toContain('class="good"');
  });
});
