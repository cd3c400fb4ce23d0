import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { invariants } from './invariants.ts';

const folders = ['simulation/checkers', 'simulation/swarm', 'chaos/checker', 'chaos/run'];

test('every invariant that a checker can find broken has a sentence', () => {
  const named = new Set<string>();
  for (const folder of folders) {
    const directory = join(import.meta.dirname, folder);
    for (const file of readdirSync(directory).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))) {
      const text = readFileSync(join(directory, file), 'utf8');
      for (const [, name] of text.matchAll(/'([LRCGZ]\d+)'/g)) named.add(name as string);
      for (const [, name] of text.matchAll(/#violate\(\s*'(\w+)'/g)) named.add(name as string);
    }
  }
  expect(named.size).toBeGreaterThan(40);
  expect([...named].filter((name) => invariants[name] === undefined)).toEqual([]);
});
