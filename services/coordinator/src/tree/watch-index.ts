import type { Change, Zxid } from './command.ts';
import { isWithin, parentOf } from './path.ts';

/** Someone who wants to know. */
export interface Watcher {
  readonly path: string;
  /** Everything below `path`, too. */
  readonly recursive: boolean;
  /** All changes of one zxid that it covers; called inside `apply`, so before anyone can answer with what they changed. */
  onChanges(changes: readonly Change[], zxid: Zxid): void;
}

export function covers(watcher: Pick<Watcher, 'path' | 'recursive'>, path: string): boolean {
  return watcher.recursive ? isWithin(path, watcher.path) : path === watcher.path;
}

/** Finds the watchers of a changed path: those of the path, and the recursive ones of its ancestors. */
export class WatchIndex {
  readonly #single = new Map<string, Set<Watcher>>();
  readonly #recursive = new Map<string, Set<Watcher>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(watcher: Watcher): void {
    const index = watcher.recursive ? this.#recursive : this.#single;
    let watchers = index.get(watcher.path);
    if (watchers === undefined) {
      watchers = new Set();
      index.set(watcher.path, watchers);
    }
    if (watchers.has(watcher)) return;
    watchers.add(watcher);
    this.#size += 1;
  }

  remove(watcher: Watcher): void {
    const index = watcher.recursive ? this.#recursive : this.#single;
    const watchers = index.get(watcher.path);
    if (!watchers?.delete(watcher)) return;
    this.#size -= 1;
    if (watchers.size === 0) index.delete(watcher.path);
  }

  /** Tells each watcher once, with all that it covers, in the order of the changes. */
  dispatch(zxid: Zxid, changes: readonly Change[]): void {
    if (this.#size === 0) return;
    const told = new Map<Watcher, Change[]>();
    for (const change of changes) {
      for (const watcher of this.#watchersOf(change.path)) {
        const covered = told.get(watcher);
        if (covered === undefined) told.set(watcher, [change]);
        else covered.push(change);
      }
    }
    for (const [watcher, covered] of told) watcher.onChanges(covered, zxid);
  }

  *#watchersOf(path: string): Iterable<Watcher> {
    yield* this.#single.get(path) ?? [];
    if (this.#recursive.size === 0) return;
    for (let ancestor = path; ; ancestor = parentOf(ancestor)) {
      yield* this.#recursive.get(ancestor) ?? [];
      if (ancestor === '/') return;
    }
  }
}
