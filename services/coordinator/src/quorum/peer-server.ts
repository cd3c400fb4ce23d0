import type { Logger } from '@naru/observability';
import type { Message, NodeId } from '@naru/raft';
import { quorum, quorumMethods, RpcError, type RpcStream, type ServiceBinding, stream } from '@naru/rpc';
import { fromWire } from './message-codec.ts';
import { type ReceivedSnapshot, SnapshotReceiver } from './snapshot-transfer.ts';

export interface PeerServerOptions {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly logger: Logger;
  /** A stream's first message; the address is where its sender listens. */
  onPeer(node: NodeId, address: string): void;
  onMessage(message: Message): void;
  onSnapshot(snapshot: ReceivedSnapshot): void;
  /** A peer's stream has ended. */
  onLost(node: NodeId): void;
}

type IncomingStream = RpcStream<quorum.RaftEnvelopeAck, quorum.RaftEnvelope>;

/**
 * The way in: checks that each message is of this cluster and for this node before Raft sees it. Who is a member is not asked: the own
 * configuration may be the older one, and its leader or candidate somebody new (thesis §4.1).
 */
export function peerService(options: PeerServerOptions): ServiceBinding {
  return stream(quorumMethods.messages, (incoming) => {
    const receiver = new SnapshotReceiver();
    let peer = 0;
    incoming.handle({
      onMessage: (envelope) => {
        if (peer === 0 && refuse(options, envelope) === undefined) {
          peer = envelope.message?.from ?? 0;
          options.onPeer(peer, envelope.fromAddress);
        }
        receive(options, incoming, receiver, envelope);
      },
      onEnd: () => incoming.end(),
      onClose: () => {
        if (peer !== 0) options.onLost(peer);
      },
    });
  });
}

function receive(
  options: PeerServerOptions,
  incoming: IncomingStream,
  receiver: SnapshotReceiver,
  envelope: quorum.RaftEnvelope,
): void {
  const refusal = refuse(options, envelope) ?? deliver(options, receiver, envelope.message as quorum.RaftMessage);
  if (refusal === undefined) return;
  options.logger.warn({ from: envelope.message?.from, reason: refusal.message }, 'a message of a peer was refused');
  incoming.fail(refusal);
}

function deliver(
  options: PeerServerOptions,
  receiver: SnapshotReceiver,
  wire: quorum.RaftMessage,
): RpcError | undefined {
  if (wire.kind === quorum.RaftMessage_Kind.KIND_SNAPSHOT) {
    const received = receiver.add(wire);
    if (received === 'malformed') return new RpcError('invalid-argument', 'malformed snapshot part');
    if (received !== undefined) options.onSnapshot(received);
    return undefined;
  }
  const message = fromWire(wire);
  if (message === undefined) return new RpcError('invalid-argument', 'malformed Raft message');
  options.onMessage(message);
  return undefined;
}

function refuse(options: PeerServerOptions, envelope: quorum.RaftEnvelope): RpcError | undefined {
  const { nodeId, clusterId } = options;
  if (envelope.clusterId !== clusterId) {
    return new RpcError('permission-denied', `this is cluster ${clusterId}, not ${envelope.clusterId}`);
  }
  const { message } = envelope;
  if (message === undefined) return new RpcError('invalid-argument', 'an envelope without a message');
  if (message.to !== nodeId)
    return new RpcError('permission-denied', `this is coordinator ${nodeId}, not ${message.to}`);
  if (message.from === nodeId) return new RpcError('permission-denied', `two coordinators have the id ${nodeId}`);
  return undefined;
}
