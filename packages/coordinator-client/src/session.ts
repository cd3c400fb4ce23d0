/** Identifies a committed change: the Raft index of its log entry. 0: nothing yet. */
export type Zxid = number;

export interface Stat {
  /** Zxid that created the znode; of a broker's registration it is the broker epoch. */
  readonly czxid: Zxid;
  /** Zxid of the last change of the data. */
  readonly mzxid: Zxid;
  /** Zxid of the last change of the list of children. */
  readonly pzxid: Zxid;
  /** Number of changes of the data. */
  readonly version: number;
  readonly cversion: number;
  /** Session id, or empty for a persistent znode. */
  readonly ephemeralOwner: string;
  readonly numChildren: number;
  readonly dataLength: number;
  readonly ctimeMs: number;
  readonly mtimeMs: number;
}

export interface Znode {
  readonly path: string;
  readonly data: Uint8Array;
  readonly stat: Stat;
}

/**
 * `version` -1 or left out: any. A `check` by `czxid` names one creation of the znode: a broker that bounced has registered
 * again with the same version but another czxid (row 10).
 */
export type WriteOperation =
  | {
      readonly kind: 'create';
      readonly path: string;
      readonly data: Uint8Array;
      readonly ephemeral?: boolean;
      readonly sequential?: boolean;
    }
  | { readonly kind: 'delete'; readonly path: string; readonly version?: number }
  | { readonly kind: 'set-data'; readonly path: string; readonly data: Uint8Array; readonly version?: number }
  | { readonly kind: 'check'; readonly path: string; readonly version?: number; readonly czxid?: Zxid };

export interface WriteResult {
  readonly zxid: Zxid;
  /** One for each operation: the created path (with its suffix) and the stat after it; undefined after a delete or check. */
  readonly results: readonly { readonly path: string; readonly stat: Stat | undefined }[];
}

export type WatchChange =
  | { readonly kind: 'created' | 'changed'; readonly node: Znode }
  | { readonly kind: 'deleted'; readonly path: string };

/**
 * The values of a subtree as they change. Events come in zxid order, none is left out and none comes twice, also across
 * reconnects and a change of the coordinator's leader. When the coordinator no longer has the history that a resume needs, a new snapshot comes:
 * the listener compares it with what it has (row 25: a watch is a hint, the snapshot is the truth).
 */
export interface WatchListener {
  onSnapshot(nodes: readonly Znode[], zxid: Zxid): void;
  /** All changes of one zxid that the watch covers. */
  onChanges(changes: readonly WatchChange[], zxid: Zxid): void;
  /** The coordinator refused the watch: an invalid path or a limit. Nothing comes any more. */
  onFailed?(error: CoordinatorError): void;
}

/**
 * - `connected`: a leader serves the session.
 * - `suspended`: the stream is broken; the session may still live or have expired; writes in flight have an unknown outcome.
 * - `expired`: the coordinator ended it; its ephemerals are gone. Final: make a new session.
 * - `closed`: by `close()`. Final.
 */
export type SessionState = 'connected' | 'suspended' | 'expired' | 'closed';

/**
 * A session with the coordinator; reconnects and finds the leader by itself until it expires. Calls made while it is suspended wait for the
 * reconnect; a write whose stream broke fails with `connection-loss` (its outcome is unknown: read before trying again), a
 * read is repeated.
 */
export interface CoordinatorSession {
  readonly id: string;
  readonly state: SessionState;
  /** All or none; one zxid. Fails with `CoordinatorError`. */
  write(operations: readonly WriteOperation[]): Promise<WriteResult>;
  getData(path: string): Promise<Znode | undefined>;
  exists(path: string): Promise<Stat | undefined>;
  getChildren(path: string): Promise<readonly string[] | undefined>;
  /** Watches `path` and, with `recursive`, everything below it. `path` need not exist. */
  watch(path: string, options: { readonly recursive: boolean }, listener: WatchListener): { cancel(): void };
  /** Several listeners; each is told every change, in order. */
  onState(listener: (state: SessionState) => void): void;
  /** Ends the session at the coordinator: its ephemerals go at once. */
  close(): Promise<void>;
}

export interface SessionOptions {
  /** `host:port` of the coordinators' client ports, any or all of them. */
  readonly servers: readonly string[];
  /** Session timeout asked for, milliseconds; default 6000. */
  readonly timeoutMs?: number;
  /** How long `openSession` tries before it fails with `connection-loss`; default: for ever. */
  readonly connectTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

export type CoordinatorErrorCode =
  | 'no-node'
  | 'node-exists'
  | 'bad-version'
  | 'not-empty'
  | 'no-children-for-ephemerals'
  | 'invalid-path'
  | 'limit-exceeded'
  | 'session-expired'
  | 'connection-loss';

export class CoordinatorError extends Error {
  override readonly name = 'CoordinatorError';
  readonly code: CoordinatorErrorCode;
  /** Of a multi: which operation failed. */
  readonly failedIndex: number;

  constructor(code: CoordinatorErrorCode, message: string, failedIndex = -1, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.failedIndex = failedIndex;
  }
}
