import type { Logger } from '@naru/observability';
import type { InstallSnapshot, Message, NodeId } from '@naru/raft';
import { type quorum, quorumMethods, type Rpc, type RpcChannel, type RpcStream } from '@naru/rpc';
import type { Address, Runtime, Timer } from '@naru/runtime';
import { peerPendingBytesMax } from './limits.ts';
import { toWire } from './message-codec.ts';
import type { StoredSnapshot } from './snapshot-store.ts';
import { snapshotParts } from './snapshot-transfer.ts';

const reconnectMsMin = 50;
const reconnectMsMax = 1_000;
const connectTimeoutMs = 1_000;

export interface PeerLinkEvents {
  onConnected(peer: NodeId): void;
  /** A message was dropped: Raft must not count on what it sent. */
  onDropped(peer: NodeId): void;
  onSnapshotSent(peer: NodeId, delivered: boolean): void;
  /** The newest durable snapshot. */
  readSnapshot(): Promise<StoredSnapshot | undefined>;
}

export interface PeerLinkOptions {
  readonly runtime: Runtime;
  readonly rpc: Rpc;
  readonly clusterId: string;
  readonly peer: NodeId;
  readonly address: Address;
  /** Where this node listens, for a peer that does not know it yet. */
  readonly ownAddress: string;
  readonly logger: Logger;
  readonly events: PeerLinkEvents;
}

type OutgoingStream = RpcStream<quorum.RaftEnvelope, quorum.RaftEnvelopeAck>;

/**
 * The way out to one peer: one stream, reconnected for as long as the peer is a member. What cannot leave now is dropped, never
 * kept: Raft makes up for a loss by itself, and a queue would only deliver old news.
 */
export class PeerLink {
  readonly #options: PeerLinkOptions;
  #channel: RpcChannel | undefined;
  #stream: OutgoingStream | undefined;
  #timer: Timer | undefined;
  #backoffMs = reconnectMsMin;
  #closed = false;
  /** The stream's first envelope, with the own address, was sent. */
  #introduced = false;
  /** Parts that wait for the stream to take them. */
  #snapshot: { readonly parts: Iterator<quorum.RaftMessage> } | undefined;
  #readingSnapshot = false;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    void this.#connect();
  }

  get address(): Address {
    return this.#options.address;
  }

  get connected(): boolean {
    return this.#stream !== undefined;
  }

  send(message: Message): void {
    if (message.kind === 'snapshot') {
      void this.#sendSnapshot(message);
      return;
    }
    const stream = this.#stream;
    if (stream === undefined || stream.pendingBytes > peerPendingBytesMax) {
      this.#options.events.onDropped(this.#options.peer);
      return;
    }
    stream.send(this.#envelope(toWire(message)));
  }

  #envelope(message: quorum.RaftMessage): quorum.RaftEnvelope {
    const { clusterId, ownAddress } = this.#options;
    const fromAddress = this.#introduced ? '' : ownAddress;
    this.#introduced = true;
    return { clusterId, message, fromAddress };
  }

  /** The peer is there, for something came from it: no reason to wait for the next attempt. */
  nudge(): void {
    if (this.#timer === undefined || this.#closed) return;
    this.#timer.cancel();
    this.#timer = undefined;
    void this.#connect();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#stream?.end();
    await this.#channel?.close();
  }

  async #connect(): Promise<void> {
    const { rpc, address } = this.#options;
    try {
      const channel = await rpc.connect(address, { timeoutMs: connectTimeoutMs });
      if (this.#closed) {
        await channel.close();
        return;
      }
      this.#channel = channel;
      this.#open(channel);
    } catch {
      this.#reconnectLater();
    }
  }

  #open(channel: RpcChannel): void {
    const { peer, events, logger } = this.#options;
    const stream = channel.open(quorumMethods.messages);
    stream.handle({
      onMessage: () => {},
      onDrain: () => this.#pumpSnapshot(),
      onClose: (error) => {
        if (error && !this.#closed)
          logger.debug({ peer, code: error.code, reason: error.message }, 'the stream to a peer ended');
        this.#lost(stream);
      },
    });
    this.#stream = stream;
    this.#introduced = false;
    this.#backoffMs = reconnectMsMin;
    events.onConnected(peer);
  }

  #lost(stream: OutgoingStream): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    const channel = this.#channel;
    this.#channel = undefined;
    void channel?.close();
    this.#endSnapshot(false);
    if (!this.#closed) {
      this.#options.events.onDropped(this.#options.peer);
      this.#reconnectLater();
    }
  }

  #reconnectLater(): void {
    if (this.#closed) return;
    const { runtime } = this.#options;
    // Jitter, so that peers that lost each other do not come back in step.
    const delay = this.#backoffMs * (0.5 + runtime.random.nextFloat() / 2);
    this.#backoffMs = Math.min(this.#backoffMs * 2, reconnectMsMax);
    this.#timer = runtime.timers.after(delay, () => {
      this.#timer = undefined;
      void this.#connect();
    });
  }

  /** The newest snapshot goes, which may be newer than the one asked for: the follower needs no older one. */
  async #sendSnapshot(message: InstallSnapshot): Promise<void> {
    const { peer, events, logger } = this.#options;
    if (this.#readingSnapshot || this.#snapshot !== undefined) return;
    this.#readingSnapshot = true;
    const stream = this.#stream;
    const stored =
      stream &&
      (await events.readSnapshot().catch((error: unknown) => {
        logger.error({ peer, error }, 'a snapshot for a peer cannot be read');
        return undefined;
      }));
    this.#readingSnapshot = false;
    if (stored === undefined || this.#stream === undefined || this.#stream !== stream) {
      events.onSnapshotSent(peer, false);
      return;
    }
    logger.info(
      { peer, index: stored.meta.index, bytes: stored.state.length },
      'a peer that is far behind gets a snapshot',
    );
    this.#snapshot = { parts: snapshotParts(stored, message) };
    this.#pumpSnapshot();
  }

  /** Parts leave as fast as the stream takes them; messages in between are not held up. */
  #pumpSnapshot(): void {
    while (this.#snapshot !== undefined && this.#stream !== undefined) {
      const { done, value } = this.#snapshot.parts.next();
      if (done) {
        this.#endSnapshot(true);
        return;
      }
      if (!this.#stream.send(this.#envelope(value))) return;
    }
  }

  #endSnapshot(delivered: boolean): void {
    if (this.#snapshot === undefined) return;
    this.#snapshot = undefined;
    this.#options.events.onSnapshotSent(this.#options.peer, delivered);
  }
}
