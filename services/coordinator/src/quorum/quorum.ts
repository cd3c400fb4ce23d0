import type { Logger } from '@naru/observability';
import {
  type Configuration,
  decodeConfiguration,
  type Entry,
  isVoter,
  type NodeId,
  type Proposal,
  Raft,
  type RaftOptions,
  type Term,
} from '@naru/raft';
import { createRpc, type Rpc } from '@naru/rpc';
import { type Address, assert, type Runtime, type Timer } from '@naru/runtime';
import { promotionLagMax, proposalBytesMax, proposalsPendingMax } from './limits.ts';
import { type MemberConfig, Membership } from './membership.ts';
import { claimDirectory } from './node-directory.ts';
import { Peers } from './peers.ts';
import { PendingRequests } from './pending-requests.ts';
import { RaftDriver, type SnapshotPolicy } from './raft-driver.ts';
import { RaftStorage } from './raft-storage.ts';
import { SnapshotStore } from './snapshot-store.ts';
import type {
  MembershipChange,
  MembershipOutcome,
  ProposalOutcome,
  QuorumMember,
  QuorumStanding,
  QuorumStatus,
  ReadOutcome,
  ReplicatedLog,
  StateMachine,
} from './state-machine.ts';

export interface QuorumOptions {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly dataDirectory: string;
  /**
   * The coordinators. On the first start of a cluster all of them are its voters; a node that is not in its own list joins a cluster that
   * runs, as a learner, by `changeMembership` there.
   */
  readonly members: readonly MemberConfig[];
  /** Where to listen for peers; default: the own `peerAddress`. */
  readonly listenAddress?: Address;
  /** A follower campaigns after this much to twice this much silence; default 600. */
  readonly electionTimeoutMs?: number;
  /** Default 100. */
  readonly heartbeatMs?: number;
  readonly snapshots?: Partial<SnapshotPolicy>;
  readonly rpc?: Rpc;
}

/** What `open` found on the disk. */
interface Opened {
  readonly storage: RaftStorage;
  readonly snapshots: SnapshotStore;
  readonly membership: Membership;
  readonly stored: NonNullable<RaftOptions['stored']>;
  readonly configuration: Configuration;
}

const defaultSnapshotPolicy: SnapshotPolicy = {
  thresholdEntries: 20_000,
  thresholdBytes: 64 * 1024 * 1024,
  tailEntries: 5_000,
  tailBytes: 16 * 1024 * 1024,
};
const electionTimeoutMsDefault = 600;
/** How long a leader that stops waits for its heir. */
const handOverMs = 300;

/**
 * One coordinator's part in the quorum: owns the disk and the connections that Raft must not know, and hands committed commands to the
 * state machine. Everything runs on one event loop; only the disk and the network make it wait.
 */
export class Quorum implements ReplicatedLog {
  readonly #runtime: Runtime;
  readonly #options: QuorumOptions;
  readonly #logger: Logger;
  readonly #membership: Membership;
  readonly #raft: Raft;
  readonly #storage: RaftStorage;
  readonly #driver: RaftDriver;
  readonly #pending = new PendingRequests();
  readonly #peers: Peers;
  readonly #tickMs: number;
  #tick: Timer | undefined;
  #reported: QuorumStatus | undefined;
  #roleListeners: ((status: QuorumStatus) => void)[] = [];
  #failureListeners: ((error: Error) => void)[] = [];
  #failure: Error | undefined;
  #pendingChange: { readonly index: number; readonly settle: (outcome: MembershipOutcome) => void } | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;
  #down: Promise<void> | undefined;

  /**
   * Reads the disk, restores `machine`, listens, and takes part. Fails with `QuorumError` for a foreign or damaged directory,
   * `NetworkError` for a port in use, `StoreError` `locked` for a directory in use.
   */
  static async open(runtime: Runtime, options: QuorumOptions, machine: StateMachine, logger: Logger): Promise<Quorum> {
    const { dataDirectory, nodeId, clusterId, members } = options;
    const voters = members.map(({ id }) => id);
    const owner = await claimDirectory(runtime.disk, dataDirectory, { nodeId, clusterId, bootstrapVoters: voters });
    const { store: snapshots, newest } = await SnapshotStore.open(runtime, `${dataDirectory}/snapshots`);
    const store = await runtime.stores.open(`${dataDirectory}/raft`);
    try {
      const { storage, recovered } = await RaftStorage.open(store, newest?.meta);
      if (newest) machine.restore(newest.state, newest.meta.index);
      const membership = new Membership(members);
      const stored = { ...recovered, ...(newest ? { snapshot: newest.meta } : {}) };
      const configuration = membership.bootstrap(owner.bootstrapVoters);
      const quorum = new Quorum(runtime, options, machine, logger, {
        storage,
        snapshots,
        membership,
        stored,
        configuration,
      });
      await quorum.#peers.start();
      quorum.#scheduleTick();
      return quorum;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  private constructor(runtime: Runtime, options: QuorumOptions, machine: StateMachine, logger: Logger, opened: Opened) {
    this.#runtime = runtime;
    this.#options = options;
    this.#logger = logger;
    this.#membership = opened.membership;
    this.#storage = opened.storage;
    const { electionTimeoutMs = electionTimeoutMsDefault, heartbeatMs = 100 } = options;
    this.#tickMs = heartbeatMs / 2;
    const electionTicks = Math.max(3, Math.round(electionTimeoutMs / this.#tickMs));
    this.#raft = new Raft({
      id: options.nodeId,
      configuration: opened.configuration,
      stored: opened.stored,
      electionTicks,
      heartbeatTicks: 2,
      random: () => runtime.random.nextFloat(),
    });
    this.#driver = new RaftDriver({
      raft: this.#raft,
      storage: opened.storage,
      snapshots: opened.snapshots,
      machine,
      pending: this.#pending,
      policy: { ...defaultSnapshotPolicy, ...options.snapshots },
      timers: runtime.timers,
      logger,
      applied: opened.stored.snapshot?.index ?? 0,
      send: (message) => this.#peers.send(message),
      onConfigurationApplied: (entry) => this.#configurationApplied(entry),
      onTurn: () => this.#report(),
      onFailure: (error) => this.#fail(error),
    });
    this.#peers = new Peers({
      runtime,
      rpc: options.rpc ?? createRpc(runtime),
      nodeId: options.nodeId,
      clusterId: options.clusterId,
      listenAddress: options.listenAddress,
      membership: opened.membership,
      raft: this.#raft,
      logger,
      guard: (event) => this.#driver.guard(event),
      receiveSnapshot: (received) => this.#driver.receiveSnapshot(received),
      readSnapshot: () => opened.snapshots.read(),
    });
  }

  async propose(data: Uint8Array, options: { readonly term?: Term } = {}): Promise<ProposalOutcome> {
    const { leader, term } = this.#raft;
    if (this.#stopped) return { ok: false, reason: 'closed', leader };
    if (data.length > proposalBytesMax) return { ok: false, reason: 'too-large', leader };
    if (this.#pending.proposals >= proposalsPendingMax) return { ok: false, reason: 'overloaded', leader };
    if (options.term !== undefined && options.term !== term) return { ok: false, reason: 'not-leader', leader };
    const proposal = this.#raft.propose(data);
    if (!proposal.ok) return { ok: false, reason: refusalOf(proposal), leader };
    this.#driver.schedule();
    return this.#pending.addProposal(proposal.index, proposal.term);
  }

  async read(): Promise<ReadOutcome> {
    if (this.#stopped) return { ok: false, reason: 'closed', leader: this.#raft.leader };
    this.#driver.schedule();
    return this.#pending.addRead((context) => {
      const request = this.#raft.requestRead(context);
      return request.ok ? undefined : request;
    });
  }

  standing(): QuorumStanding {
    const { role, term, commitIndex, configuration } = this.#raft;
    const learner = !isVoter(configuration, this.#options.nodeId);
    return { role: learner && role === 'follower' ? 'learner' : role, term, commitIndex };
  }

  status(): QuorumStatus {
    const { role, leader, termStart, commitIndex, configuration, configurationIndex } = this.#raft;
    const { nodeId, clusterId } = this.#options;
    return {
      nodeId,
      clusterId,
      ...this.standing(),
      leader,
      leaderAddress: leader === 0 ? '' : this.#membership.addressesOf(configuration, leader).clientAddress,
      serving: !this.#stopped && role === 'leader' && this.#driver.applied >= termStart,
      appliedIndex: this.#driver.applied,
      members: this.#members(),
      isChanging: configuration.outgoing.length > 0 || configurationIndex > commitIndex,
    };
  }

  onRoleChange(callback: (status: QuorumStatus) => void): void {
    this.#roleListeners.push(callback);
  }

  onFailure(callback: (error: Error) => void): void {
    this.#failureListeners.push(callback);
    if (this.#failure) callback(this.#failure);
  }

  /** Hands leadership to a voter; resolves when it leads, or not `ok` after two election timeouts. */
  async transferLeadership(to: NodeId): Promise<{ readonly ok: boolean; readonly leader: NodeId }> {
    const { leader } = this.#raft;
    if (this.#stopped || leader === to) return { ok: !this.#stopped && leader === to, leader };
    return this.#transfer(to, 2 * (this.#options.electionTimeoutMs ?? electionTimeoutMsDefault));
  }

  #transfer(to: NodeId, timeoutMs: number): Promise<{ readonly ok: boolean; readonly leader: NodeId }> {
    if (!this.#raft.transferLeadership(to)) return Promise.resolve({ ok: false, leader: this.#raft.leader });
    this.#driver.schedule();
    return new Promise((resolve) => {
      const settle = (): void => {
        timer.cancel();
        this.#roleListeners = this.#roleListeners.filter((listener) => listener !== watch);
        resolve({ ok: this.#raft.leader === to, leader: this.#raft.leader });
      };
      const watch = (status: QuorumStatus): void => {
        if (status.leader !== 0 && status.leader !== this.#options.nodeId) settle();
      };
      const timer = this.#runtime.timers.after(timeoutMs, settle);
      this.#roleListeners.push(watch);
    });
  }

  async changeMembership(change: MembershipChange): Promise<MembershipOutcome> {
    const { leader } = this.#raft;
    if (this.#stopped) return { ok: false, reason: 'closed', leader };
    const target = this.#membership.target(this.#raft.configuration, change);
    if (this.#raft.role !== 'leader') return { ok: false, reason: 'not-leader', leader };
    if (target === undefined) return { ok: false, reason: 'invalid', leader };
    if (change.kind === 'promote' && !this.#isCaughtUp(change.id)) {
      return { ok: false, reason: 'not-caught-up', leader };
    }
    const proposal = this.#raft.proposeConfiguration(target);
    if (!proposal.ok) return { ok: false, reason: changeRefusalOf(proposal), leader };
    this.#driver.schedule();
    return new Promise((settle) => {
      this.#pendingChange = { index: proposal.index, settle };
    });
  }

  /** A new voter that lacks most of the log: with one of the others down nothing would be committed until it has everything. */
  #isCaughtUp(id: NodeId): boolean {
    const { progress, lastIndex } = this.#raft.status();
    const learner = progress.get(id);
    return learner?.state === 'replicate' && lastIndex - learner.match <= promotionLagMax;
  }

  async handOver(): Promise<void> {
    if (this.#raft.role !== 'leader' || this.#failure) return;
    const { progress } = this.#raft.status();
    const heirs = this.#raft.configuration.voters
      .filter((id) => this.#peers.connected(id))
      .sort((left, right) => (progress.get(right)?.match ?? 0) - (progress.get(left)?.match ?? 0));
    const heir = heirs[0];
    if (heir !== undefined) await this.#transfer(heir, handOverMs);
  }

  async close(): Promise<void> {
    this.#closing ??= this.handOver().then(() => {
      this.#closed = true;
      return this.#shutDown();
    });
    await this.#closing;
  }

  get #stopped(): boolean {
    return this.#closed || this.#failure !== undefined;
  }

  #scheduleTick(): void {
    this.#tick = this.#runtime.timers.after(this.#tickMs, () => {
      this.#scheduleTick();
      this.#driver.guard(() => this.#raft.tick());
    });
  }

  /** After each turn of the driver. */
  #report(): void {
    this.#peers.followConfiguration();
    const { role, term, leader } = this.#raft;
    const before = this.#reported;
    const serving = role === 'leader' && this.#driver.applied >= this.#raft.termStart;
    if (before?.role === role && before.term === term && before.leader === leader && before.serving === serving) return;
    if (role !== 'leader' || before?.term !== term) this.#leadershipLost();
    const status = this.status();
    this.#reported = { ...status, role };
    if (before?.leader !== leader || before.serving !== serving) {
      this.#logger.info({ role, term, leader, serving }, 'the quorum has changed');
    }
    for (const listener of [...this.#roleListeners]) listener(status);
  }

  /** What was proposed in a term that is over; entries of this term, if it leads again already, are not touched. */
  #leadershipLost(): void {
    const { leader, role, termStart, commitIndex } = this.#raft;
    if (role === 'leader') return;
    assert(termStart === 0, 'only a leader has a first entry of its term');
    this.#pending.leadershipLost(commitIndex, leader);
    this.#pendingChange?.settle({ ok: false, reason: 'leadership-lost', leader });
    this.#pendingChange = undefined;
  }

  #members(): QuorumMember[] {
    return this.#membership.membersOf(this.#raft.configuration);
  }

  #configurationApplied(entry: Entry): void {
    const change = this.#pendingChange;
    // The joint configuration is only half of the way.
    const final = decodeConfiguration(entry.data).outgoing.length === 0;
    if (change === undefined || entry.index < change.index || !final) return;
    this.#pendingChange = undefined;
    change.settle({ ok: true, members: this.#members() });
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#failure = error;
    this.#logger.error({ error }, 'the coordinator cannot go on');
    // What else fails on the way down is a consequence.
    this.#shutDown().catch(() => {});
    for (const listener of this.#failureListeners) listener(error);
  }

  #shutDown(): Promise<void> {
    this.#down ??= this.#end();
    return this.#down;
  }

  async #end(): Promise<void> {
    this.#tick?.cancel();
    this.#pending.closed();
    this.#pendingChange?.settle({ ok: false, reason: 'closed', leader: 0 });
    this.#pendingChange = undefined;
    await this.#driver.stop();
    await this.#peers.close();
    await this.#storage.close();
  }
}

function refusalOf(refused: Proposal & { readonly ok: false }): 'not-leader' | 'overloaded' {
  return refused.reason === 'overloaded' ? 'overloaded' : 'not-leader';
}

function changeRefusalOf(refused: Proposal & { readonly ok: false }): 'not-leader' | 'change-pending' | 'invalid' {
  if (refused.reason === 'change-pending' || refused.reason === 'invalid') return refused.reason;
  return 'not-leader';
}
