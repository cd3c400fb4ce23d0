import { batchesOf, decodeRecords, validateBatch } from '@naru/record';
import type { SimulatedNode } from '@naru/runtime/simulated';
import { require } from '../swarm/violation.ts';
import { segmentPaths } from './stored-log.ts';
import type { CommitListener, PartitionTruth, Replica, Truth } from './truth.ts';

/** A record as it was committed. */
interface Written {
  readonly key: string;
  /** Undefined: a tombstone. */
  readonly value: string | undefined;
}

/** Topics of a run that are compacted. */
export const compactedTopics: ReadonlySet<string> = new Set(['table', '__consumer_offsets']);

/**
 * L9 (and L1, L2, L4, L5 as far as they hold there): what a cleaner leaves of a log is a part of what was committed, at the same offsets, with the last value of
 * every key below the high watermark. Tombstones may go after their time. A replica that began anew has what its leader's cleaner had left.
 */
export class CompactionChecker {
  readonly #committed = new Map<PartitionTruth, Map<number, Written>>();
  /** Records that were found to be gone, over all checks: that anything was cleaned at all. */
  cleanedCount = 0;

  constructor(truth: Truth) {
    const listen: CommitListener = ({ bytes }, partition) => {
      const records = this.#committed.get(partition) ?? new Map<number, Written>();
      this.#committed.set(partition, records);
      for (const { offset, key, value } of decodeRecords(bytes)) records.set(offset, written(key, value));
    };
    for (const topic of compactedTopics) truth.watch(topic, listen);
  }

  /** The newest value of every key, with its offset. */
  tableOf(partition: PartitionTruth): ReadonlyMap<string, string> {
    const table = new Map<string, string>();
    for (const { key, value } of this.#committed.get(partition)?.values() ?? []) {
      if (value === undefined) table.delete(key);
      else table.set(key, value);
    }
    return table;
  }

  /** Whether this is what was committed at `offset`. */
  isAt(partition: PartitionTruth, offset: number, key: Uint8Array | null, value: Uint8Array | null): boolean {
    const known = this.#committed.get(partition)?.get(offset);
    const seen = written(key, value);
    return known?.key === seen.key && known.value === seen.value;
  }

  checkLog(node: SimulatedNode, replica: Replica, truth: PartitionTruth): void {
    const committed = this.#committed.get(truth) ?? new Map<number, Written>();
    const name = `${node.name} ${truth.name}`;
    const paths = segmentPaths(node.disk, replica.log.directory);
    // A swap under way has no names for some of the records.
    const isSwapping = ([path]: readonly [string, number]): boolean =>
      path.endsWith('.log.swap') && isBeside(path, paths[0]);
    if ([...node.disk.files()].some(isSwapping)) return;
    const end = Math.min(replica.highWatermark, truth.highWatermark);
    const found = new Set<number>();
    const newest = new Map<string, number>();
    let last = { offset: -1, epoch: -1 };
    for (const path of paths) {
      for (const { header, bytes } of batchesOf(node.disk.contentOf(path))) {
        const checked = validateBatch(bytes, 0, { maxBatchBytes: bytes.length, source: 'log' });
        require(checked.kind !== 'invalid', 'L4', () => `${name}: the batch at ${header.baseOffset} fails its checks`);
        require(header.baseOffset > last.offset, 'L1', () => `${name}: ${header.baseOffset} follows ${last.offset}`);
        require(header.partitionLeaderEpoch >= last.epoch, 'L2', () =>
          `${name}: epoch ${header.partitionLeaderEpoch} at ${header.baseOffset} after ${last.epoch}`);
        last = { offset: header.lastOffset, epoch: header.partitionLeaderEpoch };
        for (const { offset, key, value } of decodeRecords(bytes)) {
          require(offset >= end || this.isAt(truth, offset, key, value), 'L5', () =>
            `${name}: at ${offset} is not what was committed there`);
          found.add(offset);
          newest.set(written(key, value).key, offset);
        }
      }
    }
    this.#checkKept(name, committed, { found, newest, end });
  }

  #checkKept(
    name: string,
    committed: ReadonlyMap<number, Written>,
    log: {
      readonly found: ReadonlySet<number>;
      /** By key, in this log: how far it was cleaned shows in nothing else after a restart. */
      readonly newest: ReadonlyMap<string, number>;
      readonly end: number;
    },
  ): void {
    const tombstones = new Map<string, number>();
    for (const [offset, { key, value }] of committed) if (value === undefined) tombstones.set(key, offset);
    for (const [offset, { key }] of committed) {
      if (offset >= log.end || log.found.has(offset)) continue;
      this.cleanedCount++;
      const isReplaced = (log.newest.get(key) ?? -1) > offset || (tombstones.get(key) ?? -1) >= offset;
      require(isReplaced, 'L9', () => `${name}: ${key} at ${offset} is gone, and nothing newer has its key`);
    }
  }
}

function written(key: Uint8Array | null, value: Uint8Array | null): Written {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  return { key: key === null ? '' : text(key), value: value === null ? undefined : text(value) };
}

function isBeside(path: string, other: string | undefined): boolean {
  return other !== undefined && path.slice(0, path.lastIndexOf('/')) === other.slice(0, other.lastIndexOf('/'));
}
