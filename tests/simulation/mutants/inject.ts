import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { mutants } from './mutants.ts';
import { withWrongLine } from './wrong-line.ts';

/** Loaded with `--import` before anything else: puts the mutant that NARU_MUTANT names into its file while the file is loaded. */
const mutant = mutants.find(({ name }) => name === process.env.NARU_MUTANT);
if (mutant === undefined) throw new Error(`NARU_MUTANT names no mutant: ${process.env.NARU_MUTANT}`);
const url = new URL(`../../../${mutant.file}`, import.meta.url).href;
registerHooks({
  load(loaded, context, nextLoad) {
    if (loaded !== url) return nextLoad(loaded, context);
    const source = withWrongLine(mutant, readFileSync(fileURLToPath(url), 'utf8'));
    return { format: 'module-typescript', source, shortCircuit: true };
  },
});
