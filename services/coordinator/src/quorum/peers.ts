import type { Logger } from '@naru/observability';
import { type Configuration, type Message, membersMax, membersOf, type NodeId, type Raft } from '@naru/raft';
import type { Rpc, RpcServer } from '@naru/rpc';
import { type Address, assert, formatAddress, type Runtime } from '@naru/runtime';
import { type Membership, parseAddress } from './membership.ts';
import { PeerLink } from './peer-link.ts';
import { peerService } from './peer-server.ts';
import type { StoredSnapshot } from './snapshot-store.ts';
import type { ReceivedSnapshot } from './snapshot-transfer.ts';

/** A leader whose stream broke has this long, plus as much as the spread at random, to come back. */
const leaderGraceMs = 100;
const leaderGraceSpreadMs = 150;
/** The first campaign comes this soon after a majority is connected, plus as much as the spread at random. */
const firstCampaignMs = 20;
const firstCampaignSpreadMs = 180;

export interface PeersOptions {
  readonly runtime: Runtime;
  readonly rpc: Rpc;
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly listenAddress: Address | undefined;
  readonly membership: Membership;
  readonly raft: Raft;
  readonly logger: Logger;
  /** Runs what touches Raft, and takes its effects afterwards. */
  guard(event: () => void): void;
  receiveSnapshot(received: ReceivedSnapshot): void;
  /** The newest durable snapshot. */
  readSnapshot(): Promise<StoredSnapshot | undefined>;
}

/** The connections to the other coordinators, both ways, and what their coming and going means for elections. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #raft: Raft;
  readonly #links = new Map<NodeId, PeerLink>();
  /** When something came from a peer last, on the monotonic clock. */
  readonly #lastFrom = new Map<NodeId, number>();
  #server: RpcServer | undefined;
  #linkedConfiguration: Configuration | undefined;
  #campaignPlanned = false;
  #closed = false;

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#raft = options.raft;
  }

  /** Listens, then connects to everybody. Fails with `NetworkError` when the port is taken. */
  async start(): Promise<void> {
    const { rpc, nodeId, clusterId, logger, listenAddress, receiveSnapshot } = this.#options;
    const address = listenAddress ?? parseAddress(this.#ownAddress());
    assert(address !== undefined, 'a coordinator knows where it listens');
    const service = peerService({
      nodeId,
      clusterId,
      logger,
      onPeer: (peer, from) => this.#meet(peer, from),
      onLost: (peer) => this.#lost(peer),
      onMessage: (message) => this.#receive(message),
      onSnapshot: (received) => receiveSnapshot(received),
    });
    this.#server = await rpc.serve(address, [service]);
    this.followConfiguration();
    this.#hurryWhenConnected();
  }

  send(message: Message): void {
    this.#links.get(message.to)?.send(message);
  }

  connected(peer: NodeId): boolean {
    return this.#links.get(peer)?.connected ?? false;
  }

  /** One link to each member, and to former ones until their removal is committed: a leader that removes itself needs the answers. */
  followConfiguration(): void {
    const { configuration, configurationIndex, commitIndex } = this.#raft;
    if (configuration === this.#linkedConfiguration || this.#closed) return;
    const members = membersOf(configuration);
    for (const peer of members) {
      if (peer === this.#options.nodeId || this.#links.has(peer)) continue;
      this.#link(peer, this.#options.membership.addressesOf(configuration, peer).peerAddress);
    }
    if (configurationIndex > commitIndex) return;
    this.#linkedConfiguration = configuration;
    for (const [peer, link] of this.#links) {
      if (members.includes(peer)) continue;
      this.#links.delete(peer);
      void link.close();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#links.values()].map((link) => link.close()));
    await this.#server?.close();
  }

  #receive(message: Message): void {
    this.#lastFrom.set(message.from, this.#options.runtime.clock.monotonicMs());
    this.#links.get(message.from)?.nudge();
    this.#options.guard(() => this.#raft.step(message));
  }

  /** Somebody of whom the own configuration does not know yet wants answers. */
  #meet(peer: NodeId, address: string): void {
    const known = this.#links.has(peer) || parseAddress(address) === undefined;
    if (!known && !this.#closed && this.#links.size < membersMax) this.#link(peer, address);
  }

  #ownAddress(): string {
    const { nodeId, listenAddress, membership } = this.#options;
    const { peerAddress } = membership.addressesOf(this.#raft.configuration, nodeId);
    return peerAddress === '' && listenAddress ? formatAddress(listenAddress) : peerAddress;
  }

  #link(peer: NodeId, text: string): void {
    const { runtime, rpc, clusterId, logger, guard, readSnapshot } = this.#options;
    const address = parseAddress(text);
    if (address === undefined) {
      logger.error({ peer, address: text }, 'the address of a member is unknown');
      return;
    }
    const events = {
      onConnected: () => this.#hurryWhenConnected(),
      onDropped: (node: NodeId) => this.#raft.reportUnreachable(node),
      onSnapshotSent: (node: NodeId, delivered: boolean) => guard(() => this.#raft.reportSnapshot(node, delivered)),
      readSnapshot,
    };
    const ownAddress = this.#ownAddress();
    this.#links.set(peer, new PeerLink({ runtime, rpc, clusterId, peer, address, ownAddress, logger, events }));
  }

  /** Without a leader, and as soon as a majority can be reached, nobody waits out an election timeout: at the start, or when somebody is back. */
  #hurryWhenConnected(): void {
    if (this.#campaignPlanned || this.#raft.leader !== 0) return;
    const { configuration } = this.#raft;
    const { nodeId, runtime, guard } = this.#options;
    const connected = configuration.voters.filter((id) => id === nodeId || this.connected(id));
    if (connected.length <= configuration.voters.length / 2) return;
    this.#campaignPlanned = true;
    const alone = configuration.voters.length === 1;
    const delay = alone ? 0 : firstCampaignMs + runtime.random.nextFloat() * firstCampaignSpreadMs;
    runtime.timers.after(delay, () => {
      this.#campaignPlanned = false;
      guard(() => this.#raft.campaign());
    });
  }

  /**
   * A process that is killed leaves at once, its machine says so: no need to wait for a whole election timeout. A leader that only lost a
   * connection is back within the grace, or the others protect it.
   */
  #lost(peer: NodeId): void {
    if (this.#closed || peer !== this.#raft.leader) return;
    const { clock, timers, random } = this.#options.runtime;
    const lostMs = clock.monotonicMs();
    const { term } = this.#raft;
    timers.after(leaderGraceMs + random.nextFloat() * leaderGraceSpreadMs, () => {
      const heard = (this.#lastFrom.get(peer) ?? 0) > lostMs;
      if (this.#closed || heard || this.#raft.leader !== peer || this.#raft.term !== term) return;
      this.#options.guard(() => this.#raft.suspectLeader());
    });
  }
}
