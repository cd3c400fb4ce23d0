import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { diskContract, networkContract, storeContract, timersContract, type World } from '../contracts/index.ts';
import { createNodeRuntime } from './index.ts';

async function makeWorld(): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'naru-runtime-'));
  return {
    runtime: createNodeRuntime(),
    host: '127.0.0.1',
    directory,
    settle: (promise) => promise,
    pass: (durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs)),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
}

describe('the real world', () => {
  diskContract(makeWorld);
  storeContract(makeWorld);
  networkContract(makeWorld);
  timersContract(makeWorld);
});
