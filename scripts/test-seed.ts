/**
 * Property tests draw the same cases in every run: a failure belongs to the change that caused it. `NARU_TEST_SEED=random` (or a number) draws
 * others; what they find becomes a named test.
 */
import { configureGlobal } from 'fast-check';

const asked = process.env.NARU_TEST_SEED ?? '20261120';
if (asked !== 'random') configureGlobal({ seed: Number(asked) });
