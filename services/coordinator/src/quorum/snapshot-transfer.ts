import { decodeConfiguration, encodeConfiguration, type InstallSnapshot, type NodeId } from '@naru/raft';
import { quorum } from '@naru/rpc';
import { snapshotBytesMax, snapshotPartBytes } from './limits.ts';
import { emptyWireMessage } from './message-codec.ts';
import type { StoredSnapshot } from './snapshot-store.ts';

/** The parts of a snapshot, in order; made one by one, as the stream takes them. */
export function* snapshotParts(
  stored: StoredSnapshot,
  addressed: { readonly from: NodeId; readonly to: NodeId; readonly term: number },
): Generator<quorum.RaftMessage> {
  const { meta, state } = stored;
  const configuration = encodeConfiguration(meta.configuration);
  let offset = 0;
  do {
    const data = state.subarray(offset, offset + snapshotPartBytes);
    const done = offset + data.length === state.length;
    const part = { offset, totalBytes: state.length, data, done, configuration };
    const wire = emptyWireMessage(addressed.from, addressed.to, addressed.term);
    yield {
      ...wire,
      kind: quorum.RaftMessage_Kind.KIND_SNAPSHOT,
      index: meta.index,
      logTerm: meta.term,
      snapshot: part,
    };
    offset += data.length;
  } while (offset < state.length);
}

export interface ReceivedSnapshot {
  readonly message: InstallSnapshot;
  readonly state: Uint8Array;
}

/**
 * Puts the parts of one peer's snapshot together. A part that does not continue what is there (a reconnect, a newer snapshot) starts
 * over when it is a first part, and is dropped otherwise.
 */
export class SnapshotReceiver {
  #name = '';
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** The snapshot with its last part, undefined before; `malformed` for what no sound node sends. */
  add(wire: quorum.RaftMessage): ReceivedSnapshot | 'malformed' | undefined {
    const part = wire.snapshot;
    if (part === undefined || part.totalBytes > snapshotBytesMax || part.offset + part.data.length > part.totalBytes) {
      return 'malformed';
    }
    const name = `${wire.from} ${wire.term} ${wire.index} ${wire.logTerm} ${part.totalBytes}`;
    if (part.offset === 0) this.#restart(name);
    if (name !== this.#name || part.offset !== this.#bytes) return undefined;
    // A copy: the part is a view into the bytes of a whole message.
    this.#parts.push(Uint8Array.from(part.data));
    this.#bytes += part.data.length;
    if (!part.done) return undefined;
    if (this.#bytes !== part.totalBytes) return 'malformed';
    const state = Buffer.concat(this.#parts);
    this.#restart('');
    return finish(wire, part, state);
  }

  #restart(name: string): void {
    this.#name = name;
    this.#parts = [];
    this.#bytes = 0;
  }
}

function finish(
  wire: quorum.RaftMessage,
  part: quorum.SnapshotPart,
  state: Uint8Array,
): ReceivedSnapshot | 'malformed' {
  const { from, to, term, index, logTerm } = wire;
  if (index <= 0 || logTerm <= 0 || term < logTerm) return 'malformed';
  try {
    const configuration = decodeConfiguration(part.configuration);
    const message = { kind: 'snapshot', from, to, term, snapshot: { index, term: logTerm, configuration } } as const;
    return { message, state };
  } catch {
    return 'malformed';
  }
}
