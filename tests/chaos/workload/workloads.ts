/** Whose client sends and reads: our SDK, KafkaJS, or Apache Kafka's own for Java. */
export type ClientLibrary = 'naru' | 'kafkajs' | 'java';

/** What the clients do during a cell. */
export interface Workload {
  readonly name: string;
  readonly library: ClientLibrary;
  readonly doc: string;
  readonly partitions: number;
  readonly acks: 'all' | '1';
  readonly idempotence: boolean;
  readonly flushBeforeAck: boolean;
  readonly producers: number;
  /** Each reads everything by itself. */
  readonly consumers: number;
  /** Members of a group that share the partitions, processes of their own; 0: there is no group. */
  readonly members: number;
  readonly strategy: 'range' | 'cooperative-sticky';
  /** How much longer than the session timeout writes may stop because of the client itself, milliseconds: until it gives up a request that is not answered. */
  readonly clientSlackMs: number;
  /** Records per second of all producers together. */
  readonly recordsPerSecond: number;
  readonly valueBytes: number;
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
  /** Topic's segment.bytes: small ones roll during a run. */
  readonly segmentBytes: number;
}

/** Its time limit for a request, and its next attempt to find the leader. */
const foreignSlackMs = 4_000;

const mebibyte = 1_048_576;

const steady: Workload = {
  name: 'steady',
  library: 'naru',
  doc: 'acks=all, 3 partitions, replication factor 3, min.insync.replicas 2, 600 records/s',
  partitions: 3,
  acks: 'all',
  idempotence: true,
  flushBeforeAck: true,
  producers: 3,
  consumers: 2,
  members: 0,
  strategy: 'range',
  clientSlackMs: 0,
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
  groups: {
    ...steady,
    name: 'groups',
    doc: 'a group of four members shares six partitions, commits what it processed; acks=all',
    partitions: 6,
    consumers: 1,
    members: 4,
  },
  'groups-cooperative': {
    ...steady,
    name: 'groups-cooperative',
    doc: 'the same group with incremental rebalances (cooperative-sticky)',
    partitions: 6,
    consumers: 1,
    members: 4,
    strategy: 'cooperative-sticky',
  },
  kafkajs: {
    ...steady,
    name: 'kafkajs',
    doc: 'KafkaJS sends and reads, acks=all without idempotence: a retry may write twice',
    library: 'kafkajs',
    idempotence: false,
    consumers: 1,
    recordsPerSecond: 400,
    clientSlackMs: foreignSlackMs,
  },
  java: {
    ...steady,
    name: 'java',
    doc: "Apache Kafka's own client for Java sends, idempotent, and reads; acks=all",
    library: 'java',
    consumers: 1,
    clientSlackMs: foreignSlackMs,
  },
} as const satisfies Record<string, Workload>;

export type WorkloadName = keyof typeof workloads;
