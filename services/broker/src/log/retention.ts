import { type LogConfig, unlimited } from './log-config.ts';

/** What retention looks at of a segment. */
export interface RetainedSegment {
  readonly sizeBytes: number;
  /** -1 when its records carry none: then the age is that of the file. */
  readonly maxTimestampMs: number;
  readonly createdMs: number;
}

/**
 * Whether the oldest segment of a log of `logBytes` goes, by time or by size (`retention.ms`, `retention.bytes`). By size only while what is left
 * is still as large as the limit, as Kafka does it.
 */
export function isExpired(
  segment: RetainedSegment,
  logBytes: number,
  config: Pick<LogConfig, 'retention.ms' | 'retention.bytes'>,
  nowMs: number,
): boolean {
  const ageMs = nowMs - (segment.maxTimestampMs >= 0 ? segment.maxTimestampMs : segment.createdMs);
  if (config['retention.ms'] !== unlimited && ageMs > config['retention.ms']) return true;
  return config['retention.bytes'] !== unlimited && logBytes - segment.sizeBytes >= config['retention.bytes'];
}
