import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cell, cells, smokeCells } from './cells.ts';
import { CellRun } from './run/cell-run.ts';
import { type Host, missing, networkFor, probeHost } from './run/host.ts';
import { summaryLine } from './run/result.ts';

test('at least 40 cells, each with a name of its own; the smoke profile names cells', () => {
  const names = cells.map((cell) => cell.name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(40);
  expect(smokeCells.filter((name) => !names.includes(name))).toEqual([]);
});

test('flush.before.ack=false is not asked to survive what loses page caches', () => {
  const asked = cells.filter((cell) => !cell.workload.flushBeforeAck && cell.fault.losesPageCache);
  expect(asked).toEqual([]);
});

describe('real processes under fire', () => {
  const directory = mkdtempSync(join(tmpdir(), 'naru-chaos-test-'));
  let host: Host;

  beforeAll(() => {
    host = probeHost(undefined);
  });

  afterAll(() => {
    host?.close();
  });

  test.for(['steady/kill-leader', 'steady/power-loss-everything'])(
    '%s: C1–C13, L1–L7, R10, R11, writes go on in time',
    { timeout: 120_000 },
    async (name, { skip }) => {
      const cell = cells.find((one) => one.name === name) as Cell;
      skip(missing(cell, host) !== undefined, missing(cell, host));
      const { network, release } = await networkFor(cell, host);
      const run = new CellRun({
        cell,
        network,
        directory: join(directory, name),
        seed: 1,
        faultMs: 4_000,
        shim: host.shim,
        library: '',
      });
      try {
        const result = await run.run();
        expect(result.violations, `${summaryLine(result)}, kept in ${directory}`).toEqual([]);
        rmSync(join(directory, name), { recursive: true, force: true });
      } finally {
        await run.close();
        release();
      }
    },
  );
});
