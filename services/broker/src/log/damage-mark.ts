import type { Disk } from '@naru/runtime';
import type { LogDamage } from './log-types.ts';

/** Naru's own: a partition directory that has it holds damage that nobody has repaired. */
const damageMarkFile = 'damaged';

function pathIn(directory: string): string {
  return `${directory}/${damageMarkFile}`;
}

/**
 * While the mark is there, opening the log checks every batch and cuts nothing (row 57): otherwise a recovery point that was
 * lowered or lost could turn known damage into a torn tail at the second start.
 */
export async function hasDamageMark(disk: Disk, directory: string): Promise<boolean> {
  return (await disk.stat(pathIn(directory))) !== undefined;
}

export async function writeDamageMark(disk: Disk, directory: string, damage: LogDamage): Promise<void> {
  await disk.replaceFile(pathIn(directory), Buffer.from(`${JSON.stringify(damage)}\n`));
}

/** After the repair is durable. */
export async function removeDamageMark(disk: Disk, directory: string): Promise<void> {
  if (!(await hasDamageMark(disk, directory))) return;
  await disk.remove(pathIn(directory));
  await disk.syncDirectory(directory);
}
