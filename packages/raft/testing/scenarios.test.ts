import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { InvariantViolation } from './checkers.ts';
import { commitsOldTermsByCounting } from './rules.ts';
import { runScenario } from './scenario.ts';

const directory = new URL('../scenarios/', import.meta.url);

/** After a change that is meant: run with `-u` and read the difference. */
describe('scenarios', () => {
  for (const name of readdirSync(directory).filter((file) => file.endsWith('.txt'))) {
    const text = readFileSync(new URL(name, directory), 'utf8');
    const title = text.split('\n')[0]?.replace(/^# /, '') ?? name;
    test(`${name}: ${title}`, async () => {
      await expect(runScenario(text)).toMatchFileSnapshot(new URL(name, directory).pathname);
    });
  }
});

test('§5.4.2: figure 8 loses a committed entry when entries of earlier terms are committed by counting', () => {
  const text = readFileSync(new URL('figure-8.txt', directory), 'utf8');
  expect(() => runScenario(text, commitsOldTermsByCounting)).toThrow(InvariantViolation);
});
