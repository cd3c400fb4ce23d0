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

/** A change of names. `kept`: what stood at `path` before, another name of it beside the journal; undefined: nothing. */
export type NameChange =
  | {
      readonly kind: 'rename';
      readonly kept: string | undefined;
      readonly inode: number;
      readonly from: string;
      readonly path: string;
    }
  | { readonly kind: 'removal'; readonly kept: string | undefined; readonly inode: number; readonly path: string };

/** What the shim has noted of a node's files. */
export interface SyncJournal {
  /** Bytes of a file that are safe, by inode. */
  readonly synced: ReadonlyMap<number, number>;
  /** Changes of names whose directory was not synced since, in order. */
  readonly openChanges: readonly NameChange[];
}

export function parseJournal(text: string): SyncJournal {
  const synced = new Map<number, number>();
  let openChanges: NameChange[] = [];
  for (const line of text.split('\n')) {
    const [kind, first, second, ...rest] = line.split(' ');
    const change = { kept: first === '-' ? undefined : (first as string), inode: Number(second) };
    if (kind === 'S') synced.set(Number(first), Number(second));
    else if (kind === 'U') openChanges.push({ kind: 'removal', ...change, path: rest.join(' ') });
    else if (kind === 'R') {
      const [from, path] = rest.join(' ').split('\t') as [string, string];
      openChanges.push({ kind: 'rename', ...change, from, path });
    } else if (kind === 'D') {
      const directory = line.slice(2);
      openChanges = openChanges.filter((one) => dirname(one.path) !== directory);
    }
  }
  return { synced, openChanges };
}

/** Files that are not the node's data. */
const notData =
  /^(?:node\.log|node\.pid|stderr\.txt|shim-.*|(?:broker|coordinator)\.properties|LOCK|LOG|LOG\.old|\.lock)$/;

/** Of what was lost. */
export interface PowerLoss {
  readonly bytesLost: number;
  readonly bytesFlipped: number;
  readonly namesUndone: number;
}

/**
 * Makes the files of a killed node what a power cut would have left: each is cut to its last synced size plus a part of what was written since, in
 * which a byte may be wrong; the last renames and removals whose directory was not synced may not have happened. Not played: files that vanish because
 * their own creation was not synced, and overwritten bytes.
 */
export function losePower(nodeDirectory: string, journalFile: string, dice: Dice): PowerLoss {
  const journal = parseJournal(existsSync(journalFile) ? readFileSync(journalFile, 'utf8') : '');
  // File systems journal changes of names in order: the last of them may be missing, none from the middle.
  const survivors = Math.floor(dice() * (journal.openChanges.length + 1));
  const undone = journal.openChanges.slice(survivors).toReversed();
  const namesUndone = undone.filter((change) => undo(change, journalFile)).length;
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
  return { bytesLost, bytesFlipped, namesUndone };
}

function undo(change: NameChange, journalFile: string): boolean {
  const before = change.kept === undefined ? undefined : `${journalFile}.${change.kept}`;
  if (before !== undefined && !existsSync(before)) return false;
  if (change.kind === 'removal') {
    if (before === undefined || existsSync(change.path) || !existsSync(dirname(change.path))) return false;
    linkSync(before, change.path);
    return true;
  }
  const { inode, from, path } = change;
  // Its directory is gone, or the names have been taken by something that was synced.
  if (!existsSync(path) || lstatSync(path).ino !== inode || existsSync(from)) return false;
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
