import { type History, recordKey } from '../workload/history.ts';
import type { Violation } from './violation.ts';
import { Violations } from './violation.ts';

/** A batch as it lies on disk. */
export interface StoredBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly leaderEpoch: number;
  readonly isCrcValid: boolean;
  /** Of all its bytes, those included that a broker wrote. */
  readonly digest: string;
  /** Which record stands at each of its offsets (`recordKey`), as its bytes say; none when they cannot be read. */
  readonly records: readonly string[];
}

/** One replica of one partition, read from its directory while no broker runs. */
export interface ReplicaLog {
  readonly broker: string;
  readonly partition: string;
  readonly batches: readonly StoredBatch[];
  /** From leader-epoch-checkpoint; undefined: the file is not there. */
  readonly epochs: readonly { readonly epoch: number; readonly startOffset: number }[] | undefined;
  /** Bytes behind the last whole batch. */
  readonly trailingBytes: number;
}

/** Judges the logs on the disks after everything was healed and at rest (L1, L2, L4, L5, L7). Pure. */
export function checkLogs(replicas: readonly ReplicaLog[]): Violation[] {
  const violations = new Violations();
  for (const replica of replicas) {
    checkOffsets(replica, violations);
    checkEpochs(replica, violations);
  }
  for (const [partition, copies] of Map.groupBy(replicas, (replica) => replica.partition)) {
    const [first, ...others] = copies as [ReplicaLog, ...ReplicaLog[]];
    for (const other of others) compare(partition, first, other, violations);
  }
  return violations.list;
}

/**
 * R10, R11: what was acknowledged is on the disks, at its offset, on two replicas at least. By the bytes themselves: nothing that a broker says is believed. Not asked with acks=1.
 * `topic` is what the partitions' directories begin with.
 */
export function checkAckedOnDisks(history: History, replicas: readonly ReplicaLog[], topic: string): Violation[] {
  const violations = new Violations();
  if (history.acks !== 'all') return violations.list;
  const byPartition = Map.groupBy(replicas.map(recordsByOffset), ({ partition }) => partition);
  for (const send of history.sends) {
    if (send.outcome !== 'acked') continue;
    const copies = byPartition.get(`${topic}-${send.partition}`) ?? [];
    const holders = copies.filter(({ at }) => at.get(send.offset) === recordKey(send)).map(({ broker }) => broker);
    if (holders.length >= holdersMin) continue;
    const what = `record ${recordKey(send)}, acknowledged at ${send.offset} of ${topic}-${send.partition}, is on`;
    if (holders.length === 0) violations.add('R11', `${what} no disk`);
    else violations.add('R10', `${what} the disk of ${holders} alone`);
  }
  return violations.list;
}

/** min.insync.replicas of the workloads' topic. */
const holdersMin = 2;

function recordsByOffset({ broker, partition, batches }: ReplicaLog): {
  readonly broker: string;
  readonly partition: string;
  readonly at: ReadonlyMap<number, string>;
} {
  const at = new Map<number, string>();
  for (const { baseOffset, records } of batches) for (const [i, key] of records.entries()) at.set(baseOffset + i, key);
  return { broker, partition, at };
}

/** L1: offsets are dense; L4: every stored batch is whole. */
function checkOffsets(replica: ReplicaLog, violations: Violations): void {
  const name = nameOf(replica);
  let next = replica.batches[0]?.baseOffset ?? 0;
  for (const batch of replica.batches) {
    if (batch.baseOffset !== next)
      violations.add('L1', `${name}: a batch at ${batch.baseOffset} where ${next} was due`);
    if (batch.lastOffset < batch.baseOffset)
      violations.add('L1', `${name}: the batch at ${batch.baseOffset} ends before it begins`);
    if (!batch.isCrcValid) violations.add('L4', `${name}: the batch at ${batch.baseOffset} has a wrong CRC`);
    next = batch.lastOffset + 1;
  }
  if (replica.trailingBytes > 0) violations.add('L4', `${name}: ${replica.trailingBytes} bytes behind the last batch`);
}

/** L2: epochs never fall along the log, and the checkpoint says where each began. */
function checkEpochs(replica: ReplicaLog, violations: Violations): void {
  const name = nameOf(replica);
  const starts = new Map<number, number>();
  let epoch = -1;
  for (const batch of replica.batches) {
    if (batch.leaderEpoch < epoch) {
      violations.add('L2', `${name}: epoch ${batch.leaderEpoch} at ${batch.baseOffset} after epoch ${epoch}`);
    }
    if (batch.leaderEpoch > epoch) starts.set(batch.leaderEpoch, batch.baseOffset);
    epoch = Math.max(epoch, batch.leaderEpoch);
  }
  if (replica.epochs === undefined) return;
  for (const [i, entry] of replica.epochs.entries()) {
    const before = replica.epochs[i - 1];
    if (before !== undefined && (before.epoch >= entry.epoch || before.startOffset > entry.startOffset)) {
      violations.add('L2', `${name}: the checkpoint goes from epoch ${before.epoch} to ${entry.epoch}`);
    }
  }
  const listed = new Map(replica.epochs.map((entry) => [entry.epoch, entry.startOffset]));
  for (const [one, start] of starts) {
    if (listed.get(one) !== start) {
      violations.add(
        'L2',
        `${name}: epoch ${one} begins at ${start}, the checkpoint says ${listed.get(one) ?? 'nothing'}`,
      );
    }
  }
}

/** L5, L7: the same bytes, to the end. */
function compare(partition: string, a: ReplicaLog, b: ReplicaLog, violations: Violations): void {
  const length = Math.min(a.batches.length, b.batches.length);
  for (let i = 0; i < length; i++) {
    const [one, other] = [a.batches[i] as StoredBatch, b.batches[i] as StoredBatch];
    if (one.digest === other.digest) continue;
    violations.add(
      'L5',
      `${partition}: ${a.broker} has ${one.baseOffset}–${one.lastOffset} of epoch ${one.leaderEpoch}, ${b.broker} has ${other.baseOffset}–${other.lastOffset} of epoch ${other.leaderEpoch}`,
    );
    return;
  }
  if (a.batches.length !== b.batches.length) {
    violations.add(
      'L7',
      `${partition}: ${a.broker} ends at ${a.batches.at(-1)?.lastOffset ?? -1}, ${b.broker} at ${b.batches.at(-1)?.lastOffset ?? -1}`,
    );
  }
}

function nameOf(replica: ReplicaLog): string {
  return `${replica.broker} ${replica.partition}`;
}
