import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { invariants } from '../../invariants.ts';
import { mutantNamed } from '../mutants/mutants.ts';

const sim = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], { encoding: 'utf8' });

test('--trace of a seed that fails, here with a mutant in place, ends with the rule, the replicas and the records', {
  timeout: 120_000,
}, () => {
  const { name, known } = mutantNamed('admit-below-the-high-watermark');
  const { status, stdout } = sim('--seed', String(known?.seed), '--mutant', name, '--trace');
  expect(status).toBe(1);
  const end = stdout.slice(stdout.indexOf(' BROKEN '));
  expect(end).toContain(`R2: ${invariants.R2}`);
  expect(end).toMatch(/^\S+-\d+: b\d leads epoch \d+, ISR \[/m);
  expect(end).toMatch(/^ {2}b\d follower in epoch \d+: 0 to \d+, synced to/m);
  expect(end).toMatch(/^ {4}@\d+ p\d+\/\d+ to \S+, sent at \d+ ms, acknowledged at \d+ ms$/m);
  expect(end).toMatch(/ FAULT {2}#\d+ /);
  expect(end).toMatch(/^VIOLATION R2: .*\ntrace hash [0-9a-f]{16}$/m);
});
