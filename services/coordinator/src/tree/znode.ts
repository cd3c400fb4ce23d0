import type { SessionId, Stat, Zxid } from './command.ts';

/** A node of the tree. Its data is never changed in place: readers, the history and watchers hold the same bytes. */
export interface Znode {
  readonly path: string;
  data: Uint8Array;
  readonly czxid: Zxid;
  mzxid: Zxid;
  pzxid: Zxid;
  version: number;
  cversion: number;
  readonly ctimeMs: number;
  mtimeMs: number;
  /** Empty: persistent. */
  readonly ephemeralOwner: SessionId;
  /** Names; undefined until there is a first one: most znodes are leaves. */
  children: Set<string> | undefined;
  nextSequence: number;
}

export function newZnode(path: string, data: Uint8Array, zxid: Zxid, timeMs: number, ephemeralOwner: SessionId): Znode {
  return {
    path,
    data,
    czxid: zxid,
    mzxid: zxid,
    pzxid: zxid,
    version: 0,
    cversion: 0,
    ctimeMs: timeMs,
    mtimeMs: timeMs,
    ephemeralOwner,
    children: undefined,
    nextSequence: 0,
  };
}

export function statOf(node: Znode): Stat {
  return {
    czxid: node.czxid,
    mzxid: node.mzxid,
    pzxid: node.pzxid,
    version: node.version,
    cversion: node.cversion,
    ephemeralOwner: node.ephemeralOwner,
    numChildren: node.children?.size ?? 0,
    dataLength: node.data.length,
    ctimeMs: node.ctimeMs,
    mtimeMs: node.mtimeMs,
  };
}

/** Versions are 32 bits on the wire; after the last one they begin again at 0, and -1 never occurs. */
export function nextVersion(version: number): number {
  return (version + 1) & 0x7fff_ffff;
}
