import type { Entry, EntryKind, Message, NodeId } from '@naru/raft';
import { quorum } from '@naru/rpc';

const wireKinds = quorum.RaftMessage_Kind;
const entryKinds = quorum.RaftEntry_Kind;

const wireEntryKind: Record<EntryKind, quorum.RaftEntry_Kind> = {
  command: entryKinds.KIND_COMMAND,
  configuration: entryKinds.KIND_CONFIGURATION,
  noop: entryKinds.KIND_NOOP,
};

const entryKindOf = new Map<number, EntryKind>([
  [entryKinds.KIND_COMMAND, 'command'],
  [entryKinds.KIND_CONFIGURATION, 'configuration'],
  [entryKinds.KIND_NOOP, 'noop'],
]);

/** Snapshots travel in parts, see snapshot-transfer.ts. */
export type PlainMessage = Exclude<Message, { kind: 'snapshot' }>;

export function emptyWireMessage(from: NodeId, to: NodeId, term: number): quorum.RaftMessage {
  return {
    kind: wireKinds.KIND_UNSPECIFIED,
    from,
    to,
    term,
    index: 0,
    logTerm: 0,
    commit: 0,
    reject: false,
    rejectHintIndex: 0,
    rejectHintTerm: 0,
    readContext: 0,
    transfer: false,
    entries: [],
    snapshot: undefined,
  };
}

export function toWire(message: PlainMessage): quorum.RaftMessage {
  const wire = emptyWireMessage(message.from, message.to, message.term);
  switch (message.kind) {
    case 'pre-vote':
    case 'vote':
      wire.kind = message.kind === 'vote' ? wireKinds.KIND_VOTE : wireKinds.KIND_PRE_VOTE;
      wire.index = message.lastIndex;
      wire.logTerm = message.lastTerm;
      wire.transfer = message.transfer;
      return wire;
    case 'pre-vote-response':
    case 'vote-response':
      wire.kind = message.kind === 'vote-response' ? wireKinds.KIND_VOTE_RESPONSE : wireKinds.KIND_PRE_VOTE_RESPONSE;
      wire.reject = message.reject;
      return wire;
    case 'append':
      wire.kind = wireKinds.KIND_APPEND;
      wire.index = message.previousIndex;
      wire.logTerm = message.previousTerm;
      wire.commit = message.commit;
      wire.entries = message.entries.map((entry) => ({ ...entry, kind: wireEntryKind[entry.kind] }));
      return wire;
    case 'append-response':
      wire.kind = wireKinds.KIND_APPEND_RESPONSE;
      wire.index = message.index;
      wire.reject = message.reject;
      wire.rejectHintIndex = message.rejectHintIndex;
      wire.rejectHintTerm = message.rejectHintTerm;
      return wire;
    case 'heartbeat':
      wire.kind = wireKinds.KIND_HEARTBEAT;
      wire.commit = message.commit;
      wire.readContext = message.readContext;
      return wire;
    case 'heartbeat-response':
      wire.kind = wireKinds.KIND_HEARTBEAT_RESPONSE;
      wire.readContext = message.readContext;
      return wire;
    case 'timeout-now':
      wire.kind = wireKinds.KIND_TIMEOUT_NOW;
      return wire;
  }
}

/** Undefined for what no sound node sends; the stream it came on is then ended. */
export function fromWire(wire: quorum.RaftMessage): PlainMessage | undefined {
  const { from, to, term, index, logTerm, reject, readContext } = wire;
  if (![from, to, term, index, logTerm, wire.commit].every(isCount) || from === 0 || term === 0) return undefined;
  const addressed = { from, to, term };
  switch (wire.kind) {
    case wireKinds.KIND_PRE_VOTE:
      return { kind: 'pre-vote', ...addressed, lastIndex: index, lastTerm: logTerm, transfer: wire.transfer };
    case wireKinds.KIND_VOTE:
      return { kind: 'vote', ...addressed, lastIndex: index, lastTerm: logTerm, transfer: wire.transfer };
    case wireKinds.KIND_PRE_VOTE_RESPONSE:
      return { kind: 'pre-vote-response', ...addressed, reject };
    case wireKinds.KIND_VOTE_RESPONSE:
      return { kind: 'vote-response', ...addressed, reject };
    case wireKinds.KIND_APPEND: {
      const entries = entriesFromWire(wire);
      if (entries === undefined) return undefined;
      return {
        kind: 'append',
        ...addressed,
        previousIndex: index,
        previousTerm: logTerm,
        entries,
        commit: wire.commit,
      };
    }
    case wireKinds.KIND_APPEND_RESPONSE: {
      const { rejectHintIndex, rejectHintTerm } = wire;
      return { kind: 'append-response', ...addressed, index, reject, rejectHintIndex, rejectHintTerm };
    }
    case wireKinds.KIND_HEARTBEAT:
      return { kind: 'heartbeat', ...addressed, commit: wire.commit, readContext };
    case wireKinds.KIND_HEARTBEAT_RESPONSE:
      return { kind: 'heartbeat-response', ...addressed, readContext };
    case wireKinds.KIND_TIMEOUT_NOW:
      return { kind: 'timeout-now', ...addressed };
    default:
      return undefined;
  }
}

/** Consecutive, with terms that never fall and are not beyond the sender's. */
function entriesFromWire(wire: quorum.RaftMessage): Entry[] | undefined {
  const entries: Entry[] = [];
  let lastTerm = wire.logTerm;
  for (const [at, { index, term, kind: wireKind, data }] of wire.entries.entries()) {
    const kind = entryKindOf.get(wireKind);
    if (kind === undefined || index !== wire.index + 1 + at || term < lastTerm || term > wire.term) return undefined;
    lastTerm = term;
    entries.push({ index, term, kind, data });
  }
  return entries;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
