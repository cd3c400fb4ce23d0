import { readInt64 } from '@naru/record';
import type { Partition } from './partition.ts';
import type { AppendOutcome } from './partition-outcomes.ts';

/** Bytes of one write that are copied together; a request that is larger is written as it is. */
const gatheredBytesMax = 64 * 1024;

/** One request's batches for one partition: validated, and nobody else's. */
export interface Append {
  readonly records: Uint8Array;
  readonly requiresAll: boolean;
  /** Called once. */
  settle(outcome: AppendOutcome, partition: Partition): void;
}

/**
 * Appends that one piece of work brings (a client's pipelined requests come in one read), in the order in which they came, and so many at once that a small one does not cost a write.
 *
 * A gathered write is only a quicker way to the same end: it is made when every request in it would be appended by itself, whatever becomes of the others. When something speaks
 * against it, nothing has happened, and each request is appended, answered as a duplicate or refused for itself:
 *
 * - a batch that is in the log already, or does not follow (KIP-98): the verdict on several requests of one producer is the one on each after the others.
 * - acks=all below `min.insync.replicas`, beside an acks=1 that is welcome.
 * - a full disk, which may have room for the first of them: a write that fails leaves nothing behind.
 */
export class GatheredAppends {
  #gathered = new Map<Partition, Append[]>();

  add(partition: Partition, append: Append): void {
    if (this.#gathered.size === 0) queueMicrotask(this.#run);
    const appends = this.#gathered.get(partition);
    if (appends === undefined) this.#gathered.set(partition, [append]);
    else appends.push(append);
  }

  readonly #run = (): void => {
    const gathered = this.#gathered;
    this.#gathered = new Map();
    for (const [partition, appends] of gathered) {
      const bytesMax = Math.min(gatheredBytesMax, partition.log.config['segment.bytes']);
      for (const run of runsOf(appends, bytesMax)) appendRun(partition, run);
    }
  };
}

/** Neighbours that fit into one write. */
function* runsOf(appends: readonly Append[], bytesMax: number): Generator<readonly Append[]> {
  let from = 0;
  let bytes = 0;
  for (const [i, { records }] of appends.entries()) {
    if (i > from && bytes + records.length > bytesMax) {
      yield appends.slice(from, i);
      from = i;
      bytes = 0;
    }
    bytes += records.length;
  }
  yield from === 0 ? appends : appends.slice(from);
}

function appendRun(partition: Partition, run: readonly Append[]): void {
  if (run.length > 1 && appendTogether(partition, run)) return;
  for (const append of run) append.settle(partition.append(append.records, append.requiresAll), partition);
}

/** False when nothing was appended, and nobody told. */
function appendTogether(partition: Partition, run: readonly Append[]): boolean {
  const records = Buffer.concat(run.map((append) => append.records));
  if (partition.log.producers.judge(records).kind !== 'new') return false;
  const requiresAll = run.some((append) => append.requiresAll);
  const outcome = partition.append(records, requiresAll);
  if (outcome.kind !== 'appended') return false;
  let at = 0;
  let { baseOffset } = outcome;
  for (const append of run) {
    at += append.records.length;
    const endOffset = at < records.length ? readInt64(records, at) : outcome.endOffset;
    append.settle({ ...outcome, baseOffset, endOffset }, partition);
    baseOffset = endOffset;
  }
  return true;
}
