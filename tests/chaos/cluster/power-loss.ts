import {
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** Numbers in [0, 1). */
export type Dice = () => number;

export interface JournalledRename {
  /** What stood at `path` before, kept beside the journal; undefined: nothing. */
  readonly kept: string | undefined;
  readonly inode: number;
  readonly from: string;
  readonly path: string;
}

/** What the shim has noted of a node's files. */
export interface SyncJournal {
  /** Bytes of a file that are safe, by inode. */
  readonly synced: ReadonlyMap<number, number>;
  /** Renames whose directory was not synced since, in order. */
  readonly openRenames: readonly JournalledRename[];
}

export function parseJournal(text: string): SyncJournal {
  const synced = new Map<number, number>();
  let openRenames: JournalledRename[] = [];
  for (const line of text.split('\n')) {
    const [kind, first, second, ...rest] = line.split(' ');
    if (kind === 'S') synced.set(Number(first), Number(second));
    else if (kind === 'R') {
      const [from, path] = rest.join(' ').split('\t') as [string, string];
      openRenames.push({ kept: first === '-' ? undefined : (first as string), inode: Number(second), from, path });
    } else if (kind === 'D') {
      const directory = line.slice(2);
      openRenames = openRenames.filter((rename) => dirname(rename.path) !== directory);
    }
  }
  return { synced, openRenames };
}

/** Files that are not the node's data. */
const notData =
  /^(?:node\.log|node\.pid|stderr\.txt|sync-.*|(?:broker|coordinator)\.properties|LOCK|LOG|LOG\.old|\.lock)$/;

/** Of what was lost. */
export interface PowerLoss {
  readonly bytesLost: number;
  readonly bytesFlipped: number;
  readonly renamesUndone: number;
}

/**
 * Makes the files of a killed node what a power cut would have left: each is cut to its last synced size plus a part of what was written since, in
 * which a byte may be wrong; a rename whose directory was not synced may not have happened. Not played: files that vanish because their own creation
 * was not synced, deletions that come back, and overwritten bytes.
 */
export function losePower(nodeDirectory: string, journalFile: string, dice: Dice): PowerLoss {
  const journal = parseJournal(existsSync(journalFile) ? readFileSync(journalFile, 'utf8') : '');
  let renamesUndone = 0;
  for (const rename of journal.openRenames.toReversed()) {
    if (dice() < 0.5 && undo(rename, journalFile)) renamesUndone++;
  }
  let bytesLost = 0;
  let bytesFlipped = 0;
  for (const path of filesBelow(nodeDirectory)) {
    const { ino, size } = lstatSync(path);
    const synced = Math.min(size, journal.synced.get(ino) ?? 0);
    if (size === synced) continue;
    const kept = synced + Math.floor(dice() * (size - synced + 1));
    truncateSync(path, kept);
    bytesLost += size - kept;
    if (kept > synced && dice() < 0.5) {
      const from = Math.max(synced, kept - 4_096);
      flipBit(path, from + Math.floor(dice() * (kept - from)));
      bytesFlipped++;
    }
  }
  rmSync(journalFile, { force: true });
  // What is on the disk now was there after the power came back.
  const safe = filesBelow(nodeDirectory).map((path) => lstatSync(path));
  writeFileSync(journalFile, safe.map(({ ino, size }) => `S ${ino} ${size}\n`).join(''));
  return { bytesLost, bytesFlipped, renamesUndone };
}

function undo({ kept, inode, from, path }: JournalledRename, journalFile: string): boolean {
  // Renamed again or removed since, or the name has been taken anew: there is nothing left to undo.
  if (!existsSync(path) || lstatSync(path).ino !== inode || existsSync(from)) return false;
  const before = kept === undefined ? undefined : `${journalFile}.${kept}`;
  if (before !== undefined && !existsSync(before)) return false;
  renameSync(path, from);
  if (before !== undefined) linkSync(before, path);
  return true;
}

export function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() && !notData.test(entry.name) ? [path] : [];
  });
}

export function flipBit(path: string, position: number, bit = 3): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, position);
  byte[0] = (byte[0] as number) ^ (1 << bit);
  writeSync(file, byte, 0, 1, position);
  closeSync(file);
}
