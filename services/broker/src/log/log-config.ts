import { type ConfigValues, defineConfig } from '@naru/config';

/**
 * Topic-level configuration: Kafka's names and Kafka 4's defaults. `flush.before.ack` is Naru's own: with it an acks=all answer means "on
 * disk on every in-sync replica", without it Kafka's "in their page caches".
 */
export const logConfigDefinition = defineConfig({
  'segment.bytes': {
    type: 'int',
    default: 1024 * 1024 * 1024,
    min: 1024 * 1024,
    doc: 'Largest segment file, bytes. Retention works by whole segments.',
  },
  'segment.ms': {
    type: 'long',
    default: 7 * 24 * 60 * 60 * 1000,
    min: 1,
    doc: 'A segment that is this old is closed even when it is not full, milliseconds.',
  },
  'segment.index.bytes': {
    type: 'int',
    default: 10 * 1024 * 1024,
    min: 4,
    doc: 'Largest index file, bytes; a full index closes its segment.',
  },
  'index.interval.bytes': {
    type: 'int',
    default: 4096,
    min: 0,
    doc: 'Bytes of log between two entries of the offset index.',
  },
  'retention.ms': {
    type: 'long',
    default: 7 * 24 * 60 * 60 * 1000,
    min: -1,
    doc: 'Segments whose youngest record is older are deleted, milliseconds; -1: never.',
  },
  'retention.bytes': {
    type: 'long',
    default: -1,
    min: -1,
    doc: 'The oldest segments are deleted while a partition is larger, bytes; -1: no limit.',
  },
  'max.message.bytes': {
    type: 'int',
    default: 1024 * 1024 + 12,
    min: 0,
    doc: 'Largest record batch (after compression), bytes.',
  },
  'flush.before.ack': {
    type: 'boolean',
    default: true,
    doc: 'Whether acks=all waits until the records are on disk (fdatasync) on every in-sync replica.',
  },
  'message.timestamp.type': {
    type: 'string',
    default: 'CreateTime',
    oneOf: ['CreateTime', 'LogAppendTime'],
    doc: "Whether a record carries the producer's time or the time of its append.",
  },
  'cleanup.policy': {
    type: 'list',
    default: ['delete'],
    oneOf: ['delete', 'compact'],
    doc: 'What happens to old segments: delete (by retention), compact (the last record of every key stays), or both.',
  },
  'min.cleanable.dirty.ratio': {
    type: 'double',
    default: 0.5,
    min: 0,
    max: 1,
    doc: 'A compacted log is cleaned when more than this share of its bytes has not been cleaned yet.',
  },
  'min.compaction.lag.ms': {
    type: 'long',
    default: 0,
    min: 0,
    doc: 'Records younger than this are not compacted, milliseconds.',
  },
  'max.compaction.lag.ms': {
    type: 'long',
    default: Number.MAX_SAFE_INTEGER,
    min: 1,
    doc: 'Records older than this are compacted whatever the dirty ratio, milliseconds.',
  },
  'delete.retention.ms': {
    type: 'long',
    default: 24 * 60 * 60 * 1000,
    min: 0,
    doc: 'How long a compacted log keeps a tombstone (a record without value) after its first cleaning, milliseconds.',
  },
  'file.delete.delay.ms': {
    type: 'long',
    default: 60_000,
    min: 0,
    doc: 'How long a deleted segment stays on disk for readers that have it open, milliseconds.',
  },
  'min.insync.replicas': {
    type: 'int',
    default: 1,
    min: 1,
    doc: 'Fewest in-sync replicas with which acks=all writes are accepted.',
  },
  'unclean.leader.election.enable': {
    type: 'boolean',
    default: false,
    doc: 'Whether a replica outside the ISR may lead when nobody else is left. Loses acknowledged records.',
  },
  'compression.type': {
    type: 'string',
    default: 'producer',
    oneOf: ['producer'],
    doc: 'Batches are stored as the producer compressed them.',
  },
});

export type LogConfig = ConfigValues<typeof logConfigDefinition.settings>;

/** Whether the last record of every key stays, and records need keys. */
export function isCompacted(config: Pick<LogConfig, 'cleanup.policy'>): boolean {
  return config['cleanup.policy'].includes('compact');
}

/** The age at which a segment is closed: a compacted log must not keep records from the cleaner for longer than their lag. */
export function segmentAgeMaxMs(config: LogConfig): number {
  if (!isCompacted(config)) return config['segment.ms'];
  return Math.min(config['segment.ms'], config['max.compaction.lag.ms']);
}

export const defaultLogConfig: LogConfig = logConfigDefinition.parse({});

/** What `retention.ms` and `retention.bytes` call "no limit". */
export const unlimited = -1;

/** Relative offsets in index files are 32 bits. */
export const relativeOffsetMax = 0x7fffffff;
