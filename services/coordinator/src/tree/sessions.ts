import type { SessionId, Zxid } from './command.ts';
import { limits } from './limits.ts';

/** A session as the log knows it. When it was last heard of is no part of it: only the leader knows, and only for itself. */
export interface Session {
  readonly id: SessionId;
  /** Keeps one client from resuming another's session by mistake; it is no protection against an attacker. */
  readonly password: Uint8Array;
  readonly timeoutMs: number;
  /** Grows with every attach; see the races told in `listeners/session-director.ts`. */
  touches: number;
  /** Paths of its ephemeral znodes. */
  readonly ephemerals: Set<string>;
  /** Bytes of their paths and data. */
  ephemeralBytes: number;
}

export function newSession(id: SessionId, password: Uint8Array, timeoutMs: number, touches: number): Session {
  return { id, password, timeoutMs, touches, ephemerals: new Set(), ephemeralBytes: 0 };
}

export function sessionIdOf(zxid: Zxid): SessionId {
  return zxid.toString(16).padStart(16, '0');
}

/** What an ephemeral znode counts against `ephemeralBytesPerSessionMax`. */
export function ephemeralCost(path: string, data: Uint8Array): number {
  return path.length + data.length;
}

/** Why the session cannot own one more ephemeral or that many more bytes. */
export function ephemeralFault(session: Session, moreNodes: number, moreBytes: number): string | undefined {
  if (session.ephemerals.size + moreNodes > limits.ephemeralsPerSessionMax) {
    return `the session has ${limits.ephemeralsPerSessionMax} ephemeral znodes (ephemeralsPerSessionMax)`;
  }
  if (session.ephemeralBytes + moreBytes > limits.ephemeralBytesPerSessionMax) {
    return `the session's ephemeral znodes would exceed ${limits.ephemeralBytesPerSessionMax} bytes (ephemeralBytesPerSessionMax)`;
  }
  return undefined;
}

export type Sessions = Map<SessionId, Session>;
