import type { Logger } from '@naru/observability';
import type { Message, NodeId } from '@naru/raft';
import { quorum, quorumMethods, RpcError, type RpcStream, type ServiceBinding, stream } from '@naru/rpc';
import { fromWire } from './message-codec.ts';
import { type ReceivedSnapshot, SnapshotReceiver } from './snapshot-transfer.ts';

export interface PeerServerOptions {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly logger: Logger;
  /** Whether this node is, as far as is known here, a member. */
  isMember(node: NodeId): boolean;
  onMessage(message: Message): void;
  onSnapshot(snapshot: ReceivedSnapshot): void;
}

type IncomingStream = RpcStream<quorum.RaftEnvelopeAck, quorum.RaftEnvelope>;

/** The way in: checks where each message comes from before Raft sees it. */
export function peerService(options: PeerServerOptions): ServiceBinding {
  return stream(quorumMethods.messages, (incoming) => {
    const receiver = new SnapshotReceiver();
    incoming.handle({
      onMessage: (envelope) => receive(options, incoming, receiver, envelope),
      onEnd: () => incoming.end(),
      onClose: () => {},
    });
  });
}

function receive(
  options: PeerServerOptions,
  incoming: IncomingStream,
  receiver: SnapshotReceiver,
  envelope: quorum.RaftEnvelope,
): void {
  const refusal = refuse(options, envelope);
  if (refusal !== undefined) {
    options.logger.warn(
      { from: envelope.message?.from, reason: refusal.message },
      'a message of a stranger was refused',
    );
    incoming.fail(refusal);
    return;
  }
  const wire = envelope.message as quorum.RaftMessage;
  if (wire.kind === quorum.RaftMessage_Kind.KIND_SNAPSHOT) {
    const received = receiver.add(wire);
    if (received === 'malformed') incoming.fail(new RpcError('invalid-argument', 'malformed snapshot part'));
    else if (received !== undefined) options.onSnapshot(received);
    return;
  }
  const message = fromWire(wire);
  if (message === undefined) incoming.fail(new RpcError('invalid-argument', 'malformed Raft message'));
  else options.onMessage(message);
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
  if (message.from === nodeId || !options.isMember(message.from)) {
    return new RpcError('permission-denied', `coordinator ${message.from} is not a member`);
  }
  return undefined;
}
