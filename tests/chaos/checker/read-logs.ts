import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BatchView, batchesOf, decodeRecords, validateBatch } from '@naru/record';
import { recordKey } from '../workload/history.ts';
import { decodeValue } from '../workload/value.ts';
import type { ReplicaLog, StoredBatch } from './check-logs.ts';

const batchBytesMax = 256 * 1_048_576;

/** Decodes what `brokers` have on disk of a topic's partitions. No broker may be running. */
export function readReplicaLogs(runDirectory: string, brokers: readonly string[], topic: string): ReplicaLog[] {
  return brokers.flatMap((broker) => {
    const data = join(runDirectory, broker, 'data');
    return readdirSync(data)
      .filter((name) => name.startsWith(`${topic}-`) && /^\d+$/.test(name.slice(topic.length + 1)))
      .map((partition) => readReplica(broker, partition, join(data, partition)));
  });
}

function readReplica(broker: string, partition: string, directory: string): ReplicaLog {
  const batches: StoredBatch[] = [];
  let trailingBytes = 0;
  for (const name of readdirSync(directory)
    .filter((file) => /^\d{20}\.log$/.test(file))
    .sort()) {
    const bytes = readFileSync(join(directory, name));
    let end = 0;
    for (const batch of wholeBatches(bytes)) {
      batches.push(stored(batch));
      end = batch.position + batch.bytes.length;
    }
    trailingBytes += bytes.length - end;
  }
  return { broker, partition, batches, epochs: readEpochs(join(directory, 'leader-epoch-checkpoint')), trailingBytes };
}

/** As far as lengths make sense. */
function* wholeBatches(bytes: Uint8Array): Generator<BatchView> {
  try {
    yield* batchesOf(bytes);
  } catch {
    // The rest counts as trailing bytes.
  }
}

function stored({ header, bytes }: BatchView): StoredBatch {
  const validation = validateBatch(bytes, 0, { maxBatchBytes: batchBytesMax, source: 'log' });
  return {
    baseOffset: header.baseOffset,
    lastOffset: header.lastOffset,
    leaderEpoch: header.partitionLeaderEpoch,
    isCrcValid: validation.kind === 'valid',
    digest: createHash('sha1').update(bytes).digest('hex'),
    records: validation.kind === 'valid' ? recordsIn(bytes) : [],
  };
}

/** By the values that the clients wrote. */
function recordsIn(bytes: Uint8Array): string[] {
  return [...decodeRecords(bytes)].map(({ value }) => recordKey(decodeValue(value) ?? { producer: -1, sequence: -1 }));
}

/** Kafka's format: version, number of entries, then `epoch startOffset` lines. */
function readEpochs(path: string): ReplicaLog['epochs'] {
  if (!existsSync(path)) return undefined;
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(2)
    .filter((line) => /^\d+ \d+$/.test(line))
    .map((line) => {
      const [epoch, startOffset] = line.split(' ').map(Number) as [number, number];
      return { epoch, startOffset };
    });
}
