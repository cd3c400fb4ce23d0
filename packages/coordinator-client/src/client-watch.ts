import type { coordinator as wire } from '@naru/rpc';
import type { WatchListener, Znode, Zxid } from './session.ts';
import { changeOf, znodeOf } from './wire.ts';

/**
 * One watch of a session, over all the links it lives through. After a break it asks for the changes after `#zxid`; it gets them,
 * or a new snapshot when the coordinator no longer has them.
 */
export class ClientWatch {
  readonly id: number;
  readonly path: string;
  readonly recursive: boolean;
  readonly listener: WatchListener;
  /** The listener has been told everything up to here. */
  #zxid: Zxid = 0;
  #parts: Znode[] = [];
  /** On this link the coordinator has sent everything up to now: what it says of later zxids, it says after their changes. */
  #live = false;

  constructor(id: number, path: string, recursive: boolean, listener: WatchListener) {
    this.id = id;
    this.path = path;
    this.recursive = recursive;
    this.listener = listener;
  }

  request(): wire.Watch {
    return { watchId: this.id, path: this.path, recursive: this.recursive, afterZxid: this.#zxid };
  }

  onSnapshot({ nodes, zxid, done }: wire.WatchSnapshot): void {
    for (const node of nodes) this.#parts.push(znodeOf(node));
    if (!done) return;
    const whole = this.#parts;
    this.#parts = [];
    this.#zxid = zxid;
    this.listener.onSnapshot(whole, zxid);
  }

  /** An empty list says: that was all up to `zxid`. */
  onChanges({ changes, zxid }: wire.WatchChanges): void {
    if (changes.length === 0) this.#live = true;
    if (zxid <= this.#zxid) return;
    this.#zxid = zxid;
    if (changes.length > 0) this.listener.onChanges(changes.map(changeOf), zxid);
  }

  /**
   * The link is gone. `seenZxid` is the latest that the coordinator spoke of on it: when this watch was live, nothing that it covers is
   * missing up to there, and a quiet watch resumes from there instead of from its last change long ago.
   */
  onBroken(seenZxid: Zxid): void {
    if (this.#live) this.#zxid = Math.max(this.#zxid, seenZxid);
    this.#live = false;
    this.#parts = [];
  }
}
