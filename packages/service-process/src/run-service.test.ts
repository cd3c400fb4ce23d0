import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runService, type Service } from './run-service.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'naru-service-'));
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true, force: true });
});

test('a node that has ended in order leaves no timer behind, for that would keep its process', async () => {
  const service: Service<object> = {
    name: 'node',
    settings: {},
    parse: () => ({}),
    nodeOf: () => ({ id: 1, directory, logLevel: 'silent' }),
    start: async () => {
      // Once it says that it is ready, it is asked to end.
      vi.mocked(process.stdout.write).mockImplementation(() => process.emit('SIGTERM'));
      return { clientAddress: { host: 'localhost', port: 1 }, onFailure: () => {}, close: async () => {} };
    },
    closeTimeoutMs: 25_000,
  };
  expect(await runService(service, [])).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});
