import { batchesOf, validateBatch } from '@naru/record';
import type { SimulatedDisk, SimulatedNode } from '@naru/runtime/simulated';
import { require } from '../swarm/violation.ts';
import { batchesIn, type CommittedBatch, type Replica } from './truth.ts';

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

  /** Batches from `offset`, which starts one, up to `endOffset`. */
  read(disk: SimulatedDisk, directory: string, offset: number, endOffset: number): CommittedBatch[] {
    if (this.#offset !== offset) this.#find(disk, directory, offset);
    const batches: CommittedBatch[] = [];
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
        at += 12 + new DataView(bytes.buffer, bytes.byteOffset + at + 8).getInt32(0);
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
      const bytes = cached.view(0, cached.length);
      let at = 0;
      this.#path = path;
      for (const batch of batchesIn(bytes)) {
        if (batch.baseOffset >= offset) break;
        at += 12 + new DataView(bytes.buffer, bytes.byteOffset + at + 8).getInt32(0);
      }
      this.#position = at;
      if (at < bytes.length) return;
    }
  }
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
