import type { Logger } from '@naru/observability';
import type { Runtime, Timer } from '@naru/runtime';
import type { ProposalOutcome, ReplicatedLog } from '../quorum/state-machine.ts';
import type { Command, Outcome, SessionId } from '../tree/command.ts';
import { encodeCommand } from '../tree/command-codec.ts';
import type { Session } from '../tree/sessions.ts';
import type { TreeMachine } from '../tree/tree-machine.ts';

/** The stream that serves a session now; `SessionStream` implements it. */
export interface SessionHolder {
  /** The session has ended by expiry: tell the client. */
  onExpired(): void;
  /** An expiry came to nothing: go on. */
  onSpared(): void;
  /** Another stream of the client, or another leader, has taken over. */
  onReplaced(reason: string): void;
}

export interface SessionTimes {
  readonly timeoutMsMin: number;
  readonly timeoutMsMax: number;
  /** How long a session outlives its broken stream when nobody attaches again. */
  readonly disconnectGraceMs: number;
}

/** What only the leader knows of a session, and only while it leads. */
interface Lease {
  deadlineMs: number;
  holder: SessionHolder | undefined;
  /** An expiry is on its way through the log: nothing may be answered to the client until it is decided. */
  expiring: boolean;
  /** Attaches on their way through the log: nobody may decide an expiry meanwhile. */
  attaching: number;
}

/** How often the leader looks for silent sessions. */
const sweepIntervalMs = 50;
/** A sweep that comes later than this means that this process stood still, not that its clients were silent. */
const stallMsMin = 250;

/**
 * Decides when a session has been silent for too long. Its timers live in the leader's memory only; what is decided is an
 * entry of the log (rows 27, Z12). The races:
 *
 * Attach after a decided expiry, expiry first in the log:
 *   1. session S is silent; the leader proposes expire(S, touches 4) as entry 100;
 *   2. before 100 is applied the client is back; the leader proposes attach(S) as entry 101;
 *   3. 100 ends S with its ephemerals; 101 finds no S; the client is told that it expired: it had.
 *
 * Attach first in the log:
 *   1. attach(S) is proposed as 100; `attaching` holds back the sweep, so that normally nothing follows;
 *   2. an expiry that was decided all the same is entry 101 with touches 4;
 *   3. 100 makes the counter 5; 101 finds 5 instead of 4 and does nothing.
 *
 * A message on the living stream after a decided expiry:
 *   1. expire(S) is entry 100, not applied yet; a ping of S arrives;
 *   2. a pong would be an acknowledged touch followed by an expiry (Z12), so nothing is answered;
 *   3. 100 is applied: the client gets the end instead of the pong.
 *
 * A leader that slept:
 *   1. node 1 leads in term 3 and is suspended for a minute; node 2 leads in term 4 and serves S;
 *   2. node 1 wakes, all its deadlines have passed, it proposes expire(S) in term 3;
 *   3. nobody accepts entries of term 3 any more. Were it leader again, in term 5, the entry would be refused by its term.
 *
 * A leader that slept so short that it still leads shifts all deadlines by the time it slept: the pings that came meanwhile
 * wait in its socket buffers, and the sweep must not run before they are read.
 */
export class SessionDirector {
  readonly #runtime: Runtime;
  readonly #log: ReplicatedLog;
  readonly #machine: TreeMachine;
  readonly #times: SessionTimes;
  readonly #logger: Logger;
  readonly #leases = new Map<SessionId, Lease>();
  #term = 0;
  #timer: Timer | undefined;
  #lastSweepMs = 0;

  constructor(runtime: Runtime, log: ReplicatedLog, machine: TreeMachine, times: SessionTimes, logger: Logger) {
    this.#runtime = runtime;
    this.#log = log;
    this.#machine = machine;
    this.#times = times;
    this.#logger = logger;
  }

  get times(): SessionTimes {
    return this.#times;
  }

  /** This node serves sessions in this term; every session gets its full timeout: the last leader's timers are unknown. */
  start(term: number): void {
    this.stop('a new term');
    this.#term = term;
    for (const session of this.#machine.tree.sessions.values()) this.#leaseOf(session);
    this.#lastSweepMs = this.#now();
    this.#timer = this.#runtime.timers.after(sweepIntervalMs, () => this.#sweep());
  }

  /** This node serves no longer: the clients must look for the new leader, and nothing may expire here. */
  stop(reason: string): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#term = 0;
    const holders = [...this.#leases.values()].map((lease) => lease.holder);
    this.#leases.clear();
    for (const holder of holders) holder?.onReplaced(reason);
  }

  propose(command: Command): Promise<ProposalOutcome> {
    return this.#log.propose(encodeCommand(command));
  }

  wallMs(): number {
    return Math.trunc(this.#runtime.clock.wallMs());
  }

  /** Any message of the client. False while an expiry is under way: too late to be a touch. */
  touch(id: SessionId): boolean {
    const lease = this.#leases.get(id);
    if (lease === undefined || lease.expiring) return false;
    lease.deadlineMs = this.#deadlineOf(this.#machine.tree.sessions.get(id));
    return true;
  }

  isExpiring(id: SessionId): boolean {
    return this.#leases.get(id)?.expiring ?? false;
  }

  /**
   * A client wants to go on with its session. The stream that held it ends before the attach is proposed: what is sent on the
   * old one must not be ordered after the attach, where the client would not expect it any more.
   */
  attaching(id: SessionId): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.attaching += 1;
    const { holder } = lease;
    lease.holder = undefined;
    holder?.onReplaced('the session was attached by another stream');
  }

  /** The attach came to nothing, or its stream has ended meanwhile. */
  attachFailed(id: SessionId): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.attaching = Math.max(0, lease.attaching - 1);
    if (lease.holder === undefined) this.#shorten(lease);
  }

  /** The attach is decided. False when this node does not serve the session any more. */
  attached(id: SessionId, holder: SessionHolder): boolean {
    const session = this.#machine.tree.sessions.get(id);
    if (session === undefined || this.#term === 0) return false;
    const lease = this.#leaseOf(session);
    lease.attaching = Math.max(0, lease.attaching - 1);
    const before = lease.holder;
    lease.holder = holder;
    if (!lease.expiring) lease.deadlineMs = this.#deadlineOf(session);
    before?.onReplaced('the session was attached by another stream');
    return true;
  }

  /** A session was created for this stream; undefined: the stream has ended meanwhile. False as with `attached`. */
  created(id: SessionId, holder: SessionHolder | undefined): boolean {
    const session = this.#machine.tree.sessions.get(id);
    if (session === undefined || this.#term === 0) return false;
    const lease = this.#leaseOf(session);
    lease.holder = holder;
    if (holder === undefined) this.#shorten(lease);
    return true;
  }

  /** The stream broke. A process that was killed is replaced after the grace and not only after its timeout. */
  detached(id: SessionId, holder: SessionHolder): void {
    const lease = this.#leases.get(id);
    if (lease === undefined || lease.holder !== holder) return;
    lease.holder = undefined;
    this.#shorten(lease);
  }

  /** The session was closed by its client. */
  closed(id: SessionId): void {
    this.#leases.delete(id);
  }

  #shorten(lease: Lease): void {
    lease.deadlineMs = Math.min(lease.deadlineMs, this.#now() + this.#times.disconnectGraceMs);
  }

  #leaseOf(session: Session): Lease {
    let lease = this.#leases.get(session.id);
    if (lease === undefined) {
      lease = { deadlineMs: this.#deadlineOf(session), holder: undefined, expiring: false, attaching: 0 };
      this.#leases.set(session.id, lease);
    }
    return lease;
  }

  #deadlineOf(session: Session | undefined): number {
    return this.#now() + (session?.timeoutMs ?? this.#times.timeoutMsMax);
  }

  #sweep(): void {
    const now = this.#now();
    const stalledMs = now - this.#lastSweepMs - sweepIntervalMs;
    this.#lastSweepMs = now;
    if (stalledMs > stallMsMin) this.#forgiveStall(stalledMs);
    for (const session of this.#machine.tree.sessions.values()) {
      const lease = this.#leaseOf(session);
      if (now >= lease.deadlineMs && !lease.expiring && lease.attaching === 0) void this.#expire(session, lease);
    }
    this.#timer = this.#runtime.timers.after(sweepIntervalMs, () => this.#sweep());
  }

  #forgiveStall(stalledMs: number): void {
    this.#logger.warn(
      { stalledMs: Math.round(stalledMs) },
      'this process stood still; session deadlines move by as much',
    );
    for (const lease of this.#leases.values()) lease.deadlineMs += stalledMs;
  }

  async #expire(session: Session, lease: Lease): Promise<void> {
    const term = this.#term;
    const { id, touches, timeoutMs } = session;
    lease.expiring = true;
    this.#logger.info(
      { session: id, timeoutMs, attached: lease.holder !== undefined },
      'session is silent, proposing its expiry',
    );
    const command: Command = { kind: 'expire-session', timeMs: this.wallMs(), session: id, touches, term };
    const decided = await this.#log.propose(encodeCommand(command), { term });
    // Stopped or started anew meanwhile: this lease is history.
    if (this.#leases.get(id) !== lease) return;
    if (decided.ok && hasEnded(decided.result as Outcome)) {
      this.#leases.delete(id);
      lease.holder?.onExpired();
      return;
    }
    lease.expiring = false;
    if (decided.ok) lease.deadlineMs = this.#deadlineOf(session);
    lease.holder?.onSpared();
  }

  #now(): number {
    return this.#runtime.clock.monotonicMs();
  }
}

/** Ended by this very entry, or before it. */
function hasEnded(outcome: Outcome): boolean {
  return outcome.ok ? outcome.kind === 'session' : outcome.code === 'session-expired';
}
