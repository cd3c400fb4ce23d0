import type { Disk } from '@naru/runtime';
import { readIfThere } from './checkpoint-file.ts';

export const cleanShutdownFile = '.kafka_cleanshutdown';

/** A clean stop, with the broker's epoch then; -1 when it had none. */
export interface CleanShutdown {
  readonly brokerEpoch: number;
}

/**
 * Takes the mark of a clean stop away, durably, before anything else happens: a start that fails half way must not look clean to
 * the next one (row 59, KAFKA-13773). Undefined after an unclean stop.
 */
export async function takeCleanShutdown(disk: Disk, directory: string): Promise<CleanShutdown | undefined> {
  const path = `${directory}/${cleanShutdownFile}`;
  const bytes = await readIfThere(disk, path);
  if (bytes === undefined) return undefined;
  await disk.remove(path);
  await disk.syncDirectory(directory);
  return parse(bytes);
}

/** The very last act, when every log is flushed and every checkpoint written. */
export async function writeCleanShutdown(disk: Disk, directory: string, mark: CleanShutdown): Promise<void> {
  const text = JSON.stringify({ version: 0, brokerEpoch: mark.brokerEpoch });
  await disk.replaceFile(`${directory}/${cleanShutdownFile}`, Buffer.from(text));
}

function parse(bytes: Uint8Array): CleanShutdown | undefined {
  try {
    const content: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    const { version, brokerEpoch } = content as { version?: unknown; brokerEpoch?: unknown };
    return version === 0 && Number.isSafeInteger(brokerEpoch) ? { brokerEpoch: brokerEpoch as number } : undefined;
  } catch {
    return undefined;
  }
}
