import { describe, expect, test } from 'vitest';
import { UsageError } from '../../command-line.ts';
import { parseArguments } from './arguments.ts';

const parse = (line: string) => parseArguments(line.split(' ').filter(Boolean));

describe('arguments of npm run sim', () => {
  test('many seeds: as many as are asked for, 100, or as many as there is time for', () => {
    const nothing = { kind: 'sweep', from: 1, seeds: 100, limitMs: Number.POSITIVE_INFINITY, workers: 2 };
    expect(parse('')).toEqual(nothing);
    expect(parse('--seeds 300 --from commit --minutes 8')).toEqual({
      ...nothing,
      seeds: 300,
      from: 'commit',
      limitMs: 480_000,
    });
    expect(parse('--minutes 0.5 --workers 1')).toMatchObject({ seeds: Number.POSITIVE_INFINITY, limitMs: 30_000 });
  });

  test('one seed: played, told or minimised, with some of its faults, with a wrong rule', () => {
    expect(parse('--seed 7')).toMatchObject({ kind: 'one', seed: 7, how: 'play', faults: undefined });
    expect(parse('--seed 7 --trace --faults 3,17 --time 4000')).toMatchObject({
      how: 'trace',
      faults: [3, 17],
      faultsMs: 4_000,
    });
    expect(parse('--seed 7 --minimise --mutant forget-the-vote')).toMatchObject({
      how: 'minimise',
      mutant: 'forget-the-vote',
    });
    expect(parse('--seed 7 --faults ,')).toMatchObject({ faults: [] });
  });

  test.each([
    ['--seeds 0', "--seeds is a whole number from 1 on, not '0'"],
    ['--seeds x', "not 'x'"],
    ['--seeds 1e3', "not '1e3'"],
    ['--seed=-1', "--seed is a whole number from 0 on, not '-1'"],
    ['--seed -1', '--seed'],
    ['--workers 0', '--workers is a whole number from 1 on'],
    ['--minutes 0', "--minutes is a number above 0, not '0'"],
    ['--minutes x', "not 'x'"],
    ['--from yesterday', "--from is a whole number from 0 on, not 'yesterday'"],
    ['--seeds', '--seeds'],
    ['--nosuch', '--nosuch'],
    ['extra', 'extra'],
    ['--seed 7 --seeds 3', '--seeds: --seed plays one seed alone'],
    ['--trace', '--trace: of one run, which --seed N names'],
    ['--minimise --mutant forget-the-vote', '--minimise, --mutant: of one run'],
    ['--seed 7 --trace --minimise', '--minimise plays many runs'],
    ['--seed 7 --faults three', "--faults is a whole number from 0 on, not 'three'"],
    ['--seed 7 --time', '--time'],
  ])('%s is refused with a sentence', (line, sentence) => {
    expect(() => parse(line)).toThrow(UsageError);
    expect(() => parse(line)).toThrow(sentence);
  });
});
