import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cells } from './chaos/cells.ts';
import { invariants } from './invariants.ts';
import { mutants } from './simulation/mutants/mutants.ts';

const root = join(import.meta.dirname, '..');
const files = ['packages', 'services', 'tests'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name)),
);
const faults = [...new Set(cells.map((cell) => cell.fault.name))];

interface Row {
  readonly row: number;
  readonly rule: string;
  readonly guard: string;
}

/** The table of README.md. */
const rows = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8')
  .split('\n')
  .flatMap((line): Row[] => {
    const [, row, rule, guard] = /^\| (\d+) .*? \| (.*) \| (.*) \|$/.exec(line) ?? [];
    return row === undefined ? [] : [{ row: Number(row), rule: rule as string, guard: guard as string }];
  });

const spans = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, span]) => span as string);
const isFile = (span: string): boolean => /\.(ts|txt)$/.test(span);
/** The table's paths leave out where they begin. */
const filesNamed = (span: string): string[] => files.filter((file) => file.endsWith(`/${span}`));
const textOf = (span: string): string => readFileSync(filesNamed(span)[0] as string, 'utf8');
const numbersIn = (text: string): number[] => [...text.matchAll(/\d+/g)].map(Number);
/** Whether a comment or a title speaks of the row: `row 7`, `rows 7, 8`, `rows 57 and 63`, `rows 39-42`. */
const speaksOf = (text: string, row: number): boolean =>
  [...text.matchAll(/\brows? (\d+(?:(?:, | and |–|-)\d+)*)/gi)].some(([, list]) => {
    const numbers = numbersIn(list as string);
    const isRange = /\d[–-]\d/.test(list as string);
    return numbers.includes(row) || (isRange && row > Math.min(...numbers) && row < Math.max(...numbers));
  });

/** Where the rule is that something does not exist, or that it is only said. */
const withoutCode = [14, 19];

describe('the table of the failure catalogue says what is true', () => {
  test('rows 1–38 and 56–63 are there, each once', () => {
    const due = [...Array.from({ length: 38 }, (_, i) => i + 1), ...Array.from({ length: 8 }, (_, i) => i + 56)];
    const numbers = rows.map(({ row }) => row);
    expect(due.filter((row) => !numbers.includes(row))).toEqual([]);
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  test.each(rows)('row $row: what it names is there', ({ rule, guard }) => {
    const named = [...spans(rule), ...spans(guard)].filter(isFile);
    expect(named.filter((span) => filesNamed(span).length !== 1)).toEqual([]);
    const ruleText = spans(rule).filter(isFile).map(textOf).join('\n');
    expect(spans(rule).filter((span) => !isFile(span) && !ruleText.includes(span))).toEqual([]);
    const isKnown = (span: string): boolean =>
      mutants.some(({ name }) => name === span) ||
      faults.some((fault) => fault === span || (span.endsWith('*') && fault.startsWith(span.slice(0, -1))));
    expect(spans(guard).filter((span) => !isFile(span) && !isKnown(span))).toEqual([]);
    const guardText = spans(guard).filter(isFile).map(textOf).join('\n');
    const promises = [...guard.matchAll(/\b[LRCGZ]\d+\b/g)].map(([name]) => name);
    expect(promises.filter((name) => invariants[name] === undefined && !guardText.includes(name))).toEqual([]);
  });

  test.each(rows)('row $row: a guard that is said to speak of rows does', ({ guard }) => {
    for (const part of guard.split(';')) {
      const [, list] = / rows? (\d+(?:(?:, | and )\d+)*)/.exec(part) ?? [];
      if (list === undefined) continue;
      const tests = spans(part).filter((span) => span.endsWith('.test.ts'));
      for (const row of numbersIn(list)) {
        expect(tests.length === 0 || tests.some((span) => speaksOf(textOf(span), row)), `${part}: row ${row}`).toBe(
          true,
        );
      }
    }
  });

  test('the code that keeps a row, or the test that guards it, names it', () => {
    const silent = rows.filter(({ row, rule, guard }) => {
      const named = [...spans(rule), ...spans(guard)].filter(isFile);
      return !withoutCode.includes(row) && !named.some((span) => speaksOf(textOf(span), row));
    });
    expect(silent.map(({ row }) => row)).toEqual([]);
  });

  test('every mutant of a row stands in a row', () => {
    const guards = rows.map(({ guard }) => guard).join('\n');
    const due = mutants.filter(({ guard }) =>
      numbersIn(guard.split(/[(:]/)[0] ?? '').some((row) => row <= 38 || row >= 56),
    );
    expect(due.filter(({ name, guard }) => /^rows? /.test(guard) && !guards.includes(`\`${name}\``))).toEqual([]);
  });
});
