import { crc32 } from 'node:zlib';
import { batchesOf, batchHeaderBytes, batchLayout, batchSizeAt, readInt64, validateBatch } from '@naru/record';
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

  /** The files may have been rewritten: the place has to be looked at again. */
  forget(): void {
    this.#offset = -1;
  }

  /** Batches from `offset`, which starts one, up to `endOffset`. */
  read(disk: SimulatedDisk, directory: string, offset: number, endOffset: number): StoredBatch[] {
    if (this.#offset !== offset && !this.#isAt(disk, offset)) this.#find(disk, directory, offset);
    const batches: StoredBatch[] = [];
    this.#offset = offset;
    // Mostly it goes on in the same file: whoever looks after every event does not list directories.
    this.#readOn(disk, endOffset, batches);
    if (this.#offset < endOffset) {
      const paths = segmentPaths(disk, directory);
      for (const path of paths.slice(paths.indexOf(this.#path) + 1)) {
        this.#path = path;
        this.#position = 0;
        this.#readOn(disk, endOffset, batches);
        if (this.#offset >= endOffset) break;
      }
    }
    const next = this.#offset;
    require(next === endOffset, 'R4', () => `${directory}: the log has ${next} where ${endOffset} was expected`);
    return batches;
  }

  /** From its place to the end of the file, or to `endOffset`. */
  #readOn(disk: SimulatedDisk, endOffset: number, batches: StoredBatch[]): void {
    const entry = disk.tree.find(this.#path);
    if (entry?.kind !== 'file') return;
    const { cached } = entry.content;
    for (const batch of batchesIn(cached.view(this.#position, cached.length))) {
      if (this.#offset >= endOffset) return;
      require(batch.baseOffset === this.#offset, 'L1', () =>
        `${this.#path}: a batch at ${batch.baseOffset}, expected ${this.#offset}`);
      batches.push(batch);
      this.#offset = batch.endOffset;
      this.#position += batch.bytes.length;
    }
  }

  /** Whether the batch that begins with `offset` is just where the last read ended. */
  #isAt(disk: SimulatedDisk, offset: number): boolean {
    const entry = disk.tree.find(this.#path);
    if (entry?.kind !== 'file') return false;
    const header = entry.content.cached.view(this.#position, batchHeaderBytes);
    return header.length === batchHeaderBytes && readInt64(header, batchLayout.baseOffset) === offset;
  }

  #find(disk: SimulatedDisk, directory: string, offset: number): void {
    for (const path of segmentPaths(disk, directory)) {
      const { cached } = disk.tree.fileAt(path);
      this.#path = path;
      this.#position = positionOf(cached.view(0, cached.length), offset);
      if (this.#position < cached.length) return;
    }
  }
}

/** Where the batch that begins with `offset` is; the end when it is not here. */
function positionOf(bytes: Uint8Array, offset: number): number {
  let at = 0;
  for (
    let size = batchSizeAt(bytes, at);
    size !== undefined && size >= batchHeaderBytes;
    size = batchSizeAt(bytes, at)
  ) {
    if (readInt64(bytes, at + batchLayout.baseOffset) === offset) return at;
    at += size;
  }
  if (at === bytes.length) return at;
  // A length that the run itself has harmed leads astray: then by what the header says.
  const needle = Buffer.alloc(8);
  needle.writeBigInt64BE(BigInt(offset));
  const searched = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (at = searched.indexOf(needle); at >= 0; at = searched.indexOf(needle, at + 1)) {
    const size = batchSizeAt(bytes, at) ?? 0;
    const isWhole = size >= batchHeaderBytes && size <= bytes.length - at;
    if (!isWhole || bytes[at + batchLayout.magic] !== 2) continue;
    // The bytes of an offset may stand anywhere.
    if (validateBatch(bytes, at, { maxBatchBytes: bytes.length, source: 'log' }).kind === 'valid') return at;
  }
  return bytes.length;
}

interface CheckedBatch extends CommittedBatch {
  readonly isValid: boolean;
}

/** What was read of a file, and the CRC-32 of the bytes that it was read from. */
interface ReadFile {
  readonly batches: CheckedBatch[];
  size: number;
  checksum: number;
}

/** Logs are read again and again, and most of a file is what it was before. */
const readFiles = new WeakMap<object, ReadFile>();

function batchesOfFile(disk: SimulatedDisk, path: string): readonly CheckedBatch[] {
  const { cached } = disk.tree.fileAt(path);
  let known = readFiles.get(cached);
  if (known === undefined || crc32(cached.view(0, known.size)) !== known.checksum) {
    known = { batches: [], size: 0, checksum: 0 };
    readFiles.set(cached, known);
  }
  const from = known.size;
  for (const { header, bytes } of batchesOf(cached.view(from, cached.length))) {
    known.batches.push({
      baseOffset: header.baseOffset,
      endOffset: header.lastOffset + 1,
      leaderEpoch: header.partitionLeaderEpoch,
      crc: header.crc | 0,
      isValid: validateBatch(bytes, 0, { maxBatchBytes: bytes.length, source: 'log' }).kind !== 'invalid',
    });
    known.size += bytes.length;
  }
  known.checksum = crc32(cached.view(from, known.size - from), known.checksum);
  return known.batches;
}

/** All batches of a replica from its files, each with its CRC checked (L1, L2, L4), and the epoch vector beside them (L2). */
export function readWholeLog(node: SimulatedNode, replica: Replica): CommittedBatch[] {
  const { log } = replica;
  const name = `${node.name} ${replica.topic}-${replica.index}`;
  const batches: CommittedBatch[] = [];
  let epoch = -1;
  let expected: number | undefined;
  for (const path of segmentPaths(node.disk, log.directory)) {
    for (const batch of batchesOfFile(node.disk, path)) {
      const { baseOffset, endOffset, leaderEpoch } = batch;
      if (endOffset <= log.logStartOffset) continue;
      require(batch.isValid, 'L4', () => `${name}: the batch at ${baseOffset} fails its checks`);
      const next = expected;
      require(next === undefined || baseOffset === next, 'L1', () => `${name}: ${baseOffset} follows ${next}`);
      const before = epoch;
      require(leaderEpoch >= before, 'L2', () => `${name}: epoch ${leaderEpoch} at ${baseOffset} after ${before}`);
      if (leaderEpoch > before) checkEpochStart(name, replica, leaderEpoch, baseOffset);
      epoch = leaderEpoch;
      expected = endOffset;
      batches.push(batch);
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
