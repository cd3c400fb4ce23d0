import { describe, expect, test } from 'vitest';
import { UsageError } from '../command-line.ts';
import { type ChaosOptions, parseArguments } from './arguments.ts';
import { cells, smokeCells } from './cells.ts';

const parse = (line: string) => parseArguments(line.split(' ').filter(Boolean));
const names = (line: string): string[] => (parse(line) as ChaosOptions).cells.map((cell) => cell.name);

describe('arguments of npm run chaos', () => {
  test('profiles and names choose cells, each once', () => {
    expect(names('')).toEqual(smokeCells);
    expect(names('--profile nightly')).toEqual(cells.map((cell) => cell.name));
    expect(names('--cell steady/kill-leader')).toEqual(['steady/kill-leader']);
    expect(names('--cell power-loss --cell steady/power-loss-everything')).toEqual(
      cells.map((cell) => cell.name).filter((name) => name.includes('power-loss')),
    );
  });

  test('time', () => {
    expect(parse('')).toMatchObject({ limitMs: 300_000, faultMs: 6_000 });
    expect(parse('--profile nightly')).toMatchObject({ limitMs: 7_200_000 });
    expect(parse('--once --fault-seconds 0.5')).toMatchObject({ limitMs: Number.POSITIVE_INFINITY, faultMs: 500 });
  });

  test('--list lists everything, or what is chosen', () => {
    expect(parse('--list')).toEqual({ kind: 'list', cells });
    expect(parse('--list --cell kafkajs/none')).toMatchObject({ cells: [{ name: 'kafkajs/none' }] });
  });

  test.each([
    ['--cell nosuch', `no cell is called 'nosuch'`],
    ['--cell kill --cell nosuch', `no cell is called 'nosuch'`],
    ['--cell', '--cell'],
    ['--cell=', `no cell is called ''`],
    ['--minutes 0', "--minutes is a number above 0, not '0'"],
    ['--minutes x', "not 'x'"],
    ['--once --minutes 3', 'no --minutes'],
    ['--profile nosuch', "--profile is smoke or nightly, not 'nosuch'"],
    ['--profile smoke --cell kill', 'both choose cells'],
    ['--network air', "--network is namespaces or proxies, not 'air'"],
    ['--fault-seconds 0', '--fault-seconds is a number above 0'],
    ['--seed x', "--seed is a whole number from 0 on, not 'x'"],
    ['--mutant nosuch', `no mutant is called 'nosuch'`],
    ['--nosuch', '--nosuch'],
    ['steady/kill-leader', 'steady/kill-leader'],
  ])('%s is refused with a sentence', (line, sentence) => {
    expect(() => parse(line)).toThrow(UsageError);
    expect(() => parse(line)).toThrow(sentence);
  });
});
