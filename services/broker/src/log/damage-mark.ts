import type { Disk } from '@naru/runtime';
import { readIfThere } from './checkpoint-file.ts';
import type { LogDamage } from './log-types.ts';

/** Naru's own: a partition directory that has it holds damage that nobody has repaired. */
const damageMarkFile = 'damaged';

/** Which kind of damage is marked; what cannot be read is taken for the worse one. */
export type DamageMark = 'none' | 'beyond-recovery-point' | 'synced-part';

function pathIn(directory: string): string {
  return `${directory}/${damageMarkFile}`;
}

/**
 * While the mark is there, opening the log checks every batch and cuts nothing (row 57): otherwise a recovery point that was
 * lowered or lost could turn known damage into a torn tail at the second start.
 */
export async function readDamageMark(disk: Disk, directory: string): Promise<DamageMark> {
  const bytes = await readIfThere(disk, pathIn(directory));
  if (bytes === undefined) return 'none';
  try {
    const { beyondRecoveryPoint } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<LogDamage>;
    return beyondRecoveryPoint === true ? 'beyond-recovery-point' : 'synced-part';
  } catch {
    return 'synced-part';
  }
}

export async function writeDamageMark(disk: Disk, directory: string, damage: LogDamage): Promise<void> {
  await disk.replaceFile(pathIn(directory), Buffer.from(`${JSON.stringify(damage)}\n`));
}

/** After the repair is durable. */
export async function removeDamageMark(disk: Disk, directory: string): Promise<void> {
  if ((await readDamageMark(disk, directory)) === 'none') return;
  await disk.remove(pathIn(directory));
  await disk.syncDirectory(directory);
}
