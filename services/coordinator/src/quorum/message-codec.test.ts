import type { Configuration, Entry, Message } from '@naru/raft';
import { quorum } from '@naru/rpc';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromWire, type PlainMessage, toWire } from './message-codec.ts';
import { SnapshotReceiver, snapshotParts } from './snapshot-transfer.ts';

const count = fc.nat({ max: 2 ** 40 });
const positive = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const addressed = { from: positive, to: positive, term: fc.integer({ min: 1, max: 2 ** 40 }) };

const entryLists = fc.tuple(count, fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }));

function appendOf(
  base: { from: number; to: number; term: number },
  [index, datas]: [number, Uint8Array[]],
): PlainMessage {
  const entries = datas.map((data, at): Entry => ({ index: index + 1 + at, term: base.term, kind: 'command', data }));
  return { kind: 'append', ...base, previousIndex: index, previousTerm: 0, entries, commit: index };
}

const messages: fc.Arbitrary<PlainMessage> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('vote' as const, 'pre-vote' as const),
    ...addressed,
    lastIndex: count,
    lastTerm: count,
    transfer: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom('vote-response' as const, 'pre-vote-response' as const),
    ...addressed,
    reject: fc.boolean(),
  }),
  fc.tuple(fc.record(addressed), entryLists).map(([base, list]) => appendOf(base, list)),
  fc.record({
    kind: fc.constant('append-response' as const),
    ...addressed,
    index: count,
    reject: fc.boolean(),
    rejectHintIndex: count,
    rejectHintTerm: count,
  }),
  fc.record({ kind: fc.constant('heartbeat' as const), ...addressed, commit: count, readContext: count }),
  fc.record({ kind: fc.constant('heartbeat-response' as const), ...addressed, readContext: count }),
  fc.record({ kind: fc.constant('timeout-now' as const), ...addressed }),
);

function throughBytes(message: PlainMessage): Message | undefined {
  return fromWire(quorum.RaftMessage.decode(quorum.RaftMessage.encode(toWire(message)).finish()));
}

describe('messages', () => {
  test('every message comes out of its bytes as it went in', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const plain = (value: unknown): unknown =>
          JSON.parse(JSON.stringify(value, (_, each) => (each instanceof Uint8Array ? [...each] : each)));
        expect(plain(throughBytes(message))).toEqual(plain(message));
      }),
    );
  });

  test('what no sound node sends is refused: no kind, no sender, entries with a gap or of a later term', () => {
    const append = toWire(appendOf({ from: 1, to: 2, term: 3 }, [4, [Buffer.from('a'), Buffer.from('b')]]));
    expect(fromWire(append)).toBeDefined();
    expect(fromWire({ ...append, kind: 0 })).toBeUndefined();
    expect(fromWire({ ...append, from: 0 })).toBeUndefined();
    expect(fromWire({ ...append, term: -1 })).toBeUndefined();
    const [first, second] = append.entries as [quorum.RaftEntry, quorum.RaftEntry];
    expect(fromWire({ ...append, entries: [second] })).toBeUndefined();
    expect(fromWire({ ...append, entries: [first, { ...second, term: 4 }] })).toBeUndefined();
    expect(fromWire({ ...append, entries: [{ ...first, kind: 0 }] })).toBeUndefined();
  });
});

describe('snapshot parts', () => {
  const configuration: Configuration = { voters: [1, 2, 3], outgoing: [], learners: [] };
  const stored = (bytes: number) => ({
    meta: { index: 9, term: 2, configuration },
    state: Buffer.alloc(bytes, 'state'),
  });
  const link = { from: 1, to: 2, term: 3 };

  test.each([0, 1, 256 * 1024, 256 * 1024 + 1, 1_000_000])('%i bytes arrive whole', (bytes) => {
    const receiver = new SnapshotReceiver();
    const results = [...snapshotParts(stored(bytes), link)].map((part) => receiver.add(part));
    const last = results.pop();
    expect(results.every((result) => result === undefined)).toBe(true);
    if (last === undefined || last === 'malformed') throw new Error('not received');
    expect(last.message).toEqual({ kind: 'snapshot', ...link, snapshot: stored(0).meta });
    expect(Buffer.compare(last.state, stored(bytes).state)).toBe(0);
  });

  test('after a broken stream the transfer starts over; a part in the wrong place changes nothing', () => {
    const parts = [...snapshotParts(stored(1_000_000), link)];
    const receiver = new SnapshotReceiver();
    receiver.add(parts[0] as quorum.RaftMessage);
    expect(receiver.add(parts[2] as quorum.RaftMessage)).toBeUndefined();
    const results = parts.map((part) => receiver.add(part));
    expect(results.at(-1)).toMatchObject({ message: { kind: 'snapshot' } });
  });

  test('a part that claims more than the limit, or a broken configuration, is malformed', () => {
    const [part] = [...snapshotParts(stored(10), link)] as [quorum.RaftMessage];
    const snapshot = part.snapshot as quorum.SnapshotPart;
    expect(new SnapshotReceiver().add({ ...part, snapshot: { ...snapshot, totalBytes: 2 ** 40 } })).toBe('malformed');
    expect(new SnapshotReceiver().add({ ...part, snapshot: { ...snapshot, totalBytes: 5 } })).toBe('malformed');
    const configurationless = { ...snapshot, configuration: Buffer.from('{}') };
    expect(new SnapshotReceiver().add({ ...part, snapshot: configurationless })).toBe('malformed');
    expect(new SnapshotReceiver().add({ ...part, snapshot: undefined })).toBe('malformed');
  });
});
