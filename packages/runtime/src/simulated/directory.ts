import type { FileContent, PowerLossMode } from './file-content.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { StoreContent } from './store-content.ts';

export type Entry = FileEntry | DirectoryEntry;

export interface FileEntry {
  readonly kind: 'file';
  readonly content: FileContent;
}

export interface DirectoryEntry {
  readonly kind: 'directory';
  readonly names: Directory;
  /** Set when a `Store` lives in this directory. */
  store: StoreContent | undefined;
}

/** One change of names. A rename is two of them in one or two directories, which share a fate. */
interface NameChange {
  readonly name: string;
  /** Undefined: the name was removed. */
  readonly entry: Entry | undefined;
  readonly fate: RenameFate | undefined;
}

/**
 * Whether a rename happened, as the disk tells after a power cut. A journal writes both halves together, but a sync of one
 * directory promises only its own half; in between, a file can have both names, never none.
 */
export class RenameFate {
  /** `linked`: the new name is on disk by a sync, the old one may still be there, too. */
  outcome: 'happened' | 'did-not-happen' | 'linked' | undefined;
}

/** The names in a directory: as programs see them, and as they would be after a power cut. */
export class Directory {
  readonly #names = new Map<string, Entry>();
  #durable = new Map<string, Entry>();
  #pending: NameChange[] = [];
  #changeCount = 0;

  get(name: string): Entry | undefined {
    return this.#names.get(name);
  }

  list(): string[] {
    return [...this.#names.keys()].sort();
  }

  entries(): Iterable<readonly [string, Entry]> {
    return this.#names;
  }

  get size(): number {
    return this.#names.size;
  }

  set(name: string, entry: Entry, fate?: RenameFate): void {
    this.#names.set(name, entry);
    this.#add({ name, entry, fate });
  }

  delete(name: string, fate?: RenameFate): void {
    if (!this.#names.delete(name)) return;
    this.#add({ name, entry: undefined, fate });
  }

  get changeCount(): number {
    return this.#changeCount;
  }

  syncTo(changeCount: number): void {
    const firstPending = this.#changeCount - this.#pending.length;
    for (const change of this.#pending.splice(0, Math.max(0, changeCount - firstPending))) {
      if (change.fate) change.fate.outcome = change.entry ? 'linked' : 'happened';
      this.#apply(change);
    }
  }

  /** Only the names of this directory; the caller visits what they lead to. */
  losePower(mode: PowerLossMode, random: SeededRandom): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const change of pending) {
      if (survives(change, mode, random)) this.#apply(change);
    }
    this.#names.clear();
    for (const [name, entry] of this.#durable) this.#names.set(name, entry);
  }

  #add(change: NameChange): void {
    this.#pending.push(change);
    this.#changeCount++;
  }

  #apply(change: NameChange): void {
    if (change.entry) this.#durable.set(change.name, change.entry);
    else this.#durable.delete(change.name);
  }
}

function survives(change: NameChange, mode: PowerLossMode, random: SeededRandom): boolean {
  const { fate } = change;
  if (fate?.outcome === 'happened') return true;
  if (fate?.outcome === 'did-not-happen') return false;
  const kept = mode === 'kept' || (mode === 'random' && random.chance(0.5));
  if (fate && fate.outcome === undefined) fate.outcome = kept ? 'happened' : 'did-not-happen';
  return kept;
}
