import { inject } from './inject.ts';

/** For `node --import`: the mutant that the environment names. */
inject(process.env.NARU_MUTANT ?? '');
