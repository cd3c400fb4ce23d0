import type { CoordinatorSession } from '@naru/coordinator-client';
import type { Logger } from '@naru/observability';
import { type Random, sleep, type Timers } from '@naru/runtime';
import { isCoordinatorError } from './coordinator-errors.ts';
import type { MetadataPublisher } from './metadata-publisher.ts';
import type { Member } from './partition-state.ts';
import {
  type BrokerIdentity,
  ensureClusterId,
  ensureTree,
  RegistrationError,
  registerBroker,
  updateRegistration,
} from './registration.ts';
import type { DamagedReplicas } from './znode-codecs.ts';
import { paths } from './znode-paths.ts';

const retryMinMs = 50;
const retryMaxMs = 2_000;

/** Beyond the time that the former session is given: a change of the leader among the coordinators gives it all of it once more (row 27). */
const idTakenMarginMs = 5_000;

/** This broker's logs belong to another cluster than the coordinators do, or the coordinators have lost their data. */
export class ForeignClusterError extends Error {
  override readonly name = 'ForeignClusterError';
  readonly code = 'foreign-cluster';
}

export interface MembershipListener {
  /** Registered with a new epoch, and the metadata shows it. */
  onJoined?(self: Member, session: CoordinatorSession): void;
  /** The session is over: from now on this broker leads nothing, until it has joined again with another epoch. */
  onLost?(former: Member): void;
  /** It cannot join again, for a reason that waiting does not cure; the broker should stop. */
  onFatal?(error: Error): void;
}

export interface MembershipOptions {
  /** Connects to the coordinators; may take as long as it needs. */
  readonly openSession: (signal: AbortSignal) => Promise<CoordinatorSession>;
  readonly identity: BrokerIdentity;
  /** As remembered by the data directory; undefined when the directory is new. */
  readonly clusterId: string | undefined;
  /**
   * Milliseconds. How long a broker id may be registered with another data directory before that is an error follows from it: a broker that was killed and comes back with
   * an empty disk meets its own old registration until its session has expired.
   */
  readonly sessionTimeoutMs: number;
  readonly publisher: MetadataPublisher;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * This broker's place in the cluster: a session, a registration that lives as long as the session, and the metadata watched through it. When the session expires
 * all three are made anew, and the broker is another incarnation.
 */
export class ClusterMembership {
  readonly #options: MembershipOptions;
  readonly #listeners: MembershipListener[] = [];
  readonly #abort = new AbortController();
  #identity: BrokerIdentity;
  #clusterId: string | undefined;
  #session: CoordinatorSession | undefined;
  #self: Member | undefined;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#identity = options.identity;
    this.#clusterId = options.clusterId;
  }

  /** Undefined before `start` and while a lost session is being replaced. */
  get session(): CoordinatorSession | undefined {
    return this.#session;
  }

  /** This incarnation. Set before the first image that shows it is published; undefined as soon as the session is known to be over. */
  get self(): Member | undefined {
    return this.#self;
  }

  /** Known after `start`. */
  get clusterId(): string | undefined {
    return this.#clusterId;
  }

  subscribe(listener: MembershipListener): void {
    this.#listeners.push(listener);
  }

  /** Joins for the first time. Fails with `RegistrationError` `broker-id-taken` or `ForeignClusterError`; everything else is tried until it works. */
  async start(): Promise<Member> {
    return this.#join();
  }

  /** Publishes which replicas of this broker are damaged: none of them will be elected as if it were whole. */
  async reportDamaged(damaged: DamagedReplicas): Promise<void> {
    this.#identity = { ...this.#identity, damaged };
    if (this.#session !== undefined && this.#self !== undefined) await this.#tellDamaged(this.#session, this.#self);
  }

  /** The newest list, at every attempt: two reports under way must not end with the older one. */
  async #tellDamaged(session: CoordinatorSession, self: Member): Promise<void> {
    await updateRegistration(session, self, (registration) => ({
      ...registration,
      damaged: this.#identity.damaged,
    }));
  }

  /** Leaves: the registration goes with the session, at once. */
  async stop(): Promise<void> {
    this.#abort.abort(new Error('the broker stops'));
    this.#self = undefined;
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }

  async #join(): Promise<Member> {
    const { sessionTimeoutMs, logger, timers } = this.#options;
    const idTakenWaitMs = 2 * sessionTimeoutMs + idTakenMarginMs;
    let waitedMs = 0;
    for (let delayMs = retryMinMs; ; delayMs = Math.min(2 * delayMs, retryMaxMs)) {
      const session = await this.#options.openSession(this.#abort.signal);
      try {
        return await this.#joinThrough(session);
      } catch (error) {
        void session.close().catch(() => {});
        this.#self = undefined;
        this.#session = undefined;
        if (!isCoordinatorError(error) && !(isIdTaken(error) && waitedMs < idTakenWaitMs)) throw error;
        logger.warn({ error, retryMs: delayMs }, 'could not register; trying again');
        await sleep(timers, delayMs, this.#abort.signal);
        waitedMs += delayMs;
      }
    }
  }

  async #joinThrough(session: CoordinatorSession): Promise<Member> {
    const { publisher, logger } = this.#options;
    await this.#checkCluster(session);
    const registered = this.#identity;
    const { brokerId } = registered;
    const self: Member = { brokerId, brokerEpoch: await registerBroker(session, registered) };
    this.#abort.signal.throwIfAborted();
    // Found while the registration was on its way: without it, the controller could elect what is damaged.
    for (let told = registered; told !== this.#identity; ) {
      told = this.#identity;
      await this.#tellDamaged(session, self);
    }
    this.#session = session;
    this.#self = self;
    session.onState((state) => {
      if (state === 'expired') this.#onExpired(session, self);
    });
    // It may have expired before anyone listened.
    if (session.state === 'expired') this.#onExpired(session, self);
    publisher.attach(session);
    await publisher.waitFor(self.brokerEpoch);
    logger.info({ brokerId, brokerEpoch: self.brokerEpoch, session: session.id }, 'registered');
    if (this.#self === self) for (const listener of this.#listeners) listener.onJoined?.(self, session);
    return self;
  }

  async #checkCluster(session: CoordinatorSession): Promise<void> {
    await ensureTree(session);
    if (this.#clusterId !== undefined && (await session.exists(paths.clusterId)) === undefined) {
      throw new ForeignClusterError(
        `the data directory belongs to cluster ${this.#clusterId}, which the coordinators do not know: ` +
          'they belong to another cluster or have lost their data',
      );
    }
    const clusterId = await ensureClusterId(session, this.#options.random);
    if (this.#clusterId !== undefined && clusterId !== this.#clusterId) {
      throw new ForeignClusterError(
        `the data directory belongs to cluster ${this.#clusterId}, the coordinators serve cluster ${clusterId}`,
      );
    }
    this.#clusterId = clusterId;
  }

  #onExpired(session: CoordinatorSession, former: Member): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    this.#self = undefined;
    this.#options.logger.warn({ ...former }, 'the session expired; registering again');
    for (const listener of this.#listeners) listener.onLost?.(former);
    this.#join().catch((error: unknown) => {
      if (this.#abort.signal.aborted) return;
      const fatal = error instanceof Error ? error : new RegistrationError('contended', String(error));
      this.#options.logger.error({ error: fatal }, 'cannot register again');
      for (const listener of this.#listeners) listener.onFatal?.(fatal);
    });
  }
}

function isIdTaken(error: unknown): boolean {
  return error instanceof RegistrationError && error.code === 'broker-id-taken';
}
