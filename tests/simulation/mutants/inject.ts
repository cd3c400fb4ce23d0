import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { mutantNamed } from './mutants.ts';
import { withWrongLine } from './wrong-line.ts';

/** Puts a mutant into its file while the file is loaded: to be called before anything loads it. */
export function inject(name: string): void {
  const mutant = mutantNamed(name);
  const url = new URL(`../../../${mutant.file}`, import.meta.url).href;
  registerHooks({
    load(loaded, context, nextLoad) {
      if (loaded !== url) return nextLoad(loaded, context);
      const source = withWrongLine(mutant, readFileSync(fileURLToPath(url), 'utf8'));
      return { format: 'module-typescript', source, shortCircuit: true };
    },
  });
}
