import { readFileSync } from 'node:fs';

/** `pid.start`, the start in ticks since boot: a number that was given to another process later does not look like the same. Undefined: no such process. */
export function processIdentity(pid: number | string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // After the name in parentheses, which may hold anything, the start is the twentieth field.
    return `${pid}.${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return undefined;
  }
}

/** Whether the process of this identity still runs. */
export function isAlive(identity: string): boolean {
  return processIdentity(identity.split('.')[0] as string) === identity;
}
