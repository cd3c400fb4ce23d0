import { batchesOf, batchHeaderBytes, batchLayout, batchSizeAt, validateBatch } from '@naru/record';
import type { SimulatedDisk, SimulatedNode } from '@naru/runtime/simulated';
import { require } from '../swarm/violation.ts';
import { batchesIn, type CommittedBatch, type Replica, type StoredBatch } from './truth.ts';

/** Segments of a log as its disk holds them, read without the broker's own code. */
export function segmentPaths(disk: SimulatedDisk, directory: string): readonly string[] {
  const root = directory.startsWith('/') ? directory : `/${directory}`;
  const entry = disk.tree.find(root);
  if (entry?.kind !== 'directory') return [];
  const names = entry.names.list().filter((name) => /^\d{20}\.log$/.test(name));
  return names.sort().map((name) => `${root}/${name}`);
}

/** Where in a log's files the next batch begins: so that a log that grows is read once. */
export class LogCursor {
  #path = '';
  #position = 0;
  #offset = -1;

  /** The files were rewritten: the place has to be looked for. */
  forget(): void {
    this.#offset = -1;
  }

  /** Batches from `offset`, which starts one, up to `endOffset`. */
  read(disk: SimulatedDisk, directory: string, offset: number, endOffset: number): StoredBatch[] {
    if (this.#offset !== offset) this.#find(disk, directory, offset);
    const batches: StoredBatch[] = [];
    const paths = segmentPaths(disk, directory);
    let next = offset;
    for (const path of paths.slice(Math.max(0, paths.indexOf(this.#path)))) {
      if (path !== this.#path) this.#position = 0;
      this.#path = path;
      const { cached } = disk.tree.fileAt(path);
      const bytes = cached.view(this.#position, cached.length);
      let at = 0;
      for (const batch of batchesIn(bytes)) {
        if (next >= endOffset) break;
        require(batch.baseOffset === next, 'L1', () => `${path}: a batch at ${batch.baseOffset}, expected ${next}`);
        batches.push(batch);
        next = batch.endOffset;
        at += batch.bytes.length;
      }
      this.#position += at;
      if (next >= endOffset) break;
    }
    this.#offset = next;
    require(next === endOffset, 'R4', () => `${directory}: the log has ${next} where ${endOffset} was expected`);
    return batches;
  }

  #find(disk: SimulatedDisk, directory: string, offset: number): void {
    for (const path of segmentPaths(disk, directory)) {
      const { cached } = disk.tree.fileAt(path);
      this.#path = path;
      this.#position = positionOf(Buffer.from(cached.view(0, cached.length)), offset);
      if (this.#position < cached.length) return;
    }
  }
}

/** Where the batch that begins with `offset` is; the end when it is not here. */
function positionOf(bytes: Buffer, offset: number): number {
  let at = 0;
  for (const batch of batchesIn(bytes)) {
    if (batch.baseOffset === offset) return at;
    at += batch.bytes.length;
  }
  if (at === bytes.length) return at;
  // A length that the run itself has harmed leads astray: then by what the header says.
  const needle = Buffer.alloc(8);
  needle.writeBigInt64BE(BigInt(offset));
  for (at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) {
    const size = batchSizeAt(bytes, at) ?? 0;
    const isWhole = size >= batchHeaderBytes && size <= bytes.length - at;
    if (!isWhole || bytes[at + batchLayout.magic] !== 2) continue;
    // The bytes of an offset may stand anywhere.
    if (validateBatch(bytes, at, { maxBatchBytes: bytes.length, source: 'log' }).kind === 'valid') return at;
  }
  return bytes.length;
}

/** All batches of a replica from its files, each with its CRC checked (L1, L2, L4), and the epoch vector beside them (L2). */
export function readWholeLog(node: SimulatedNode, replica: Replica): CommittedBatch[] {
  const { log } = replica;
  const name = `${node.name} ${replica.topic}-${replica.index}`;
  const batches: CommittedBatch[] = [];
  let epoch = -1;
  let expected: number | undefined;
  for (const path of segmentPaths(node.disk, log.directory)) {
    for (const { header, bytes } of batchesOf(node.disk.contentOf(path))) {
      if (header.lastOffset < log.logStartOffset) continue;
      const { baseOffset } = header;
      const checked = validateBatch(bytes, 0, { maxBatchBytes: bytes.length, source: 'log' });
      require(checked.kind !== 'invalid', 'L4', () => `${name}: the batch at ${baseOffset} fails its checks`);
      const next = expected;
      require(next === undefined || baseOffset === next, 'L1', () => `${name}: ${baseOffset} follows ${next}`);
      const before = epoch;
      require(header.partitionLeaderEpoch >= before, 'L2', () =>
        `${name}: epoch ${header.partitionLeaderEpoch} at ${baseOffset} after ${before}`);
      if (header.partitionLeaderEpoch > before) checkEpochStart(name, replica, header.partitionLeaderEpoch, baseOffset);
      epoch = header.partitionLeaderEpoch;
      expected = header.lastOffset + 1;
      batches.push({ baseOffset, endOffset: expected, leaderEpoch: epoch, crc: header.crc | 0 });
    }
  }
  const end = expected ?? log.logStartOffset;
  require(end === log.logEndOffset, 'L3', () => `${name}: the files end at ${end}, the log at ${log.logEndOffset}`);
  checkVector(name, replica);
  return batches;
}

function checkEpochStart(name: string, { log }: Replica, epoch: number, baseOffset: number): void {
  const entry = log.leaderEpochs.entries.find((each) => each.epoch === epoch);
  // The first epoch may have begun below the log start.
  require(entry !== undefined && (entry.startOffset === baseOffset || baseOffset <= log.logStartOffset), 'L2', () =>
    `${name}: epoch ${epoch} begins at ${baseOffset}, in the vector at ${entry?.startOffset}`);
}

function checkVector(name: string, { log }: Replica): void {
  let before = { epoch: -1, startOffset: -1 };
  for (const entry of log.leaderEpochs.entries) {
    const { epoch, startOffset } = before;
    require(entry.epoch > epoch && entry.startOffset >= startOffset, 'L2', () =>
      `${name}: the epoch vector has (${entry.epoch}, ${entry.startOffset}) after (${epoch}, ${startOffset})`);
    before = entry;
  }
}
