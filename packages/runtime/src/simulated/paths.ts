/** Relative paths start at the root, which is every simulated process's working directory. */
export function namesOf(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names;
}

export function nameOf(path: string): string {
  return namesOf(path).at(-1) ?? '';
}

export function parentOf(path: string): string {
  return `/${namesOf(path).slice(0, -1).join('/')}`;
}
