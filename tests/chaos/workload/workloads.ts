/** What the clients do during a cell. */
export interface Workload {
  readonly name: string;
  readonly doc: string;
  readonly partitions: number;
  readonly acks: 'all' | '1';
  readonly idempotence: boolean;
  readonly flushBeforeAck: boolean;
  readonly producers: number;
  readonly consumers: number;
  /** Records per second of all producers together. */
  readonly recordsPerSecond: number;
  readonly valueBytes: number;
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
  /** Topic's segment.bytes: small ones roll during a run. */
  readonly segmentBytes: number;
}

const mebibyte = 1_048_576;

const steady: Workload = {
  name: 'steady',
  doc: 'acks=all, 3 partitions, replication factor 3, min.insync.replicas 2, 600 records/s',
  partitions: 3,
  acks: 'all',
  idempotence: true,
  flushBeforeAck: true,
  producers: 3,
  consumers: 2,
  recordsPerSecond: 600,
  valueBytes: 100,
  compression: 'none',
  segmentBytes: 1_024 * mebibyte,
};

export const workloads = {
  steady,
  many: { ...steady, name: 'many', doc: 'acks=all over 50 partitions', partitions: 50, recordsPerSecond: 1_000 },
  large: {
    ...steady,
    name: 'large',
    doc: 'acks=all, records of 200 kB in segments of 4 MiB',
    recordsPerSecond: 30,
    valueBytes: 200_000,
    segmentBytes: 4 * mebibyte,
  },
  packed: { ...steady, name: 'packed', doc: 'acks=all, batches compressed with zstd', compression: 'zstd' },
  cached: {
    ...steady,
    name: 'cached',
    doc: 'acks=all with flush.before.ack=false: survives the death of processes, not of machines',
    flushBeforeAck: false,
  },
  plain: { ...steady, name: 'plain', doc: 'acks=all without idempotence: a retry may write twice', idempotence: false },
  single: {
    ...steady,
    name: 'single',
    doc: 'acks=1: acknowledged records may be lost, nothing else',
    acks: '1',
    idempotence: false,
  },
} as const satisfies Record<string, Workload>;

export type WorkloadName = keyof typeof workloads;
