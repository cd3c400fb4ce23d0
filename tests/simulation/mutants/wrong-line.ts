import type { Mutant } from './mutants.ts';

/** The file's text with the mutant in it. Throws when the line does not stand there exactly once: then the mutant has to be looked after. */
export function withWrongLine({ name, file, line, wrong }: Mutant, text: string): string {
  const lines = text.split('\n');
  const found = lines.flatMap((each, index) => (each.trim() === line ? [index] : []));
  const [index] = found;
  if (index === undefined || found.length > 1)
    throw new Error(`${name}: "${line}" stands ${found.length} times in ${file}`);
  lines[index] = wrong;
  return lines.join('\n');
}
