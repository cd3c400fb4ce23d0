/** Identifies a committed change: the index of its entry in the log. */
export type Zxid = number;

/** 16 hexadecimal digits: the zxid that created the session. */
export type SessionId = string;

/** One step of a write. `version` -1: any; `czxid` 0: any. */
export type WriteStep =
  | {
      readonly kind: 'create';
      readonly path: string;
      readonly data: Uint8Array;
      readonly ephemeral: boolean;
      readonly sequential: boolean;
    }
  | { readonly kind: 'delete'; readonly path: string; readonly version: number }
  | { readonly kind: 'set-data'; readonly path: string; readonly data: Uint8Array; readonly version: number }
  | { readonly kind: 'check'; readonly path: string; readonly version: number; readonly czxid: Zxid };

/**
 * What the log holds. A command is a request that was ordered: whether it succeeds is decided where it is applied, by the
 * state that the entries before it made, and so alike on every node.
 */
export type Command =
  | {
      readonly kind: 'create-session';
      readonly timeMs: number;
      readonly password: Uint8Array;
      readonly timeoutMs: number;
    }
  | {
      readonly kind: 'attach-session';
      readonly timeMs: number;
      readonly session: SessionId;
      readonly password: Uint8Array;
    }
  | { readonly kind: 'close-session'; readonly timeMs: number; readonly session: SessionId }
  | {
      readonly kind: 'expire-session';
      readonly timeMs: number;
      readonly session: SessionId;
      /** The touch counter when the leader decided that the session was silent for too long. */
      readonly touches: number;
      /** The leader's term then (row 27). */
      readonly term: number;
    }
  | {
      readonly kind: 'write';
      readonly timeMs: number;
      readonly session: SessionId;
      readonly steps: readonly WriteStep[];
    };

export type FailureCode =
  | 'no-node'
  | 'node-exists'
  | 'bad-version'
  | 'not-empty'
  | 'no-children-for-ephemerals'
  | 'invalid-path'
  | 'limit-exceeded'
  | 'session-expired';

export interface Failure {
  readonly ok: false;
  readonly code: FailureCode;
  readonly message: string;
  /** Which step of a write failed; -1 when it was not a step. */
  readonly failedIndex: number;
}

export interface Stat {
  readonly czxid: Zxid;
  readonly mzxid: Zxid;
  readonly pzxid: Zxid;
  readonly version: number;
  readonly cversion: number;
  readonly ephemeralOwner: SessionId;
  readonly numChildren: number;
  readonly dataLength: number;
  readonly ctimeMs: number;
  readonly mtimeMs: number;
}

/** `stat` is that after the step; undefined after a delete or a check. */
export interface StepResult {
  readonly path: string;
  readonly stat: Stat | undefined;
}

export type Outcome =
  | { readonly ok: true; readonly kind: 'write'; readonly results: readonly StepResult[] }
  | { readonly ok: true; readonly kind: 'session'; readonly session: SessionId; readonly timeoutMs: number }
  /** An expiry that came too late: the session was touched after it was decided. */
  | { readonly ok: true; readonly kind: 'ignored' }
  | Failure;

/**
 * A change of a znode's data or existence, with the znode as it was right after. A child that comes or goes changes its
 * parent's stat, too, but is told only as the child's own change.
 */
export type Change =
  | { readonly kind: 'created' | 'changed'; readonly path: string; readonly data: Uint8Array; readonly stat: Stat }
  | { readonly kind: 'deleted'; readonly path: string };

/** What one command did: the answer for whoever proposed it, the changes for the watchers, in the order of the steps. */
export interface Applied {
  readonly outcome: Outcome;
  readonly changes: readonly Change[];
}
