import { type broker, brokerMethods } from '@naru/rpc';
import { groupBy, sleep } from '@naru/runtime';
import type { Cluster } from '../cluster/cluster.ts';
import { type KafkaError, LeaderNotAvailableError, TimeoutError } from '../errors.ts';
import { errorFromCode } from '../errors-from-wire.ts';
import { partitionKey, type TopicPartition } from '../topic-partition.ts';
import type { OffsetAtTime, PartitionOffset } from './consumer-options.ts';

/** Special timestamps of ListOffsets (Kafka: ListOffsetsRequest). */
export const latestTimestamp = -1;
export const earliestTimestamp = -2;
export const maxTimestamp = -3;

export interface OffsetQuery extends TopicPartition {
  /** Milliseconds since the epoch, or one of the special ones. */
  readonly timestamp: number;
}

export interface FoundOffset extends TopicPartition {
  /** -1: no record is that young. */
  readonly offset: number;
  readonly timestamp: number;
  readonly leaderEpoch: number;
}

export interface LookupOptions {
  readonly isolationLevel: number;
  /** Monotonic milliseconds. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Asks the leaders; tries again while they move. In the order of the queries. Fails with the first error that does not pass by the deadline. */
export async function lookupOffsets(
  cluster: Cluster,
  queries: readonly OffsetQuery[],
  options: LookupOptions,
): Promise<FoundOffset[]> {
  // An answer names its partition but not the time that was asked for: one request must not ask twice about a partition.
  const groups = groupBy(queries, (query) => query.timestamp);
  const found = new Map<number, Map<string, FoundOffset>>();
  const lookUp = async (timestamp: number, group: readonly OffsetQuery[]): Promise<void> => {
    found.set(timestamp, await lookupUntilFound(cluster, group, options));
  };
  await Promise.all([...groups].map(([timestamp, group]) => lookUp(timestamp, group)));
  return queries.map((query) => found.get(query.timestamp)?.get(keyOf(query)) as FoundOffset);
}

async function lookupUntilFound(
  cluster: Cluster,
  queries: readonly OffsetQuery[],
  options: LookupOptions,
): Promise<Map<string, FoundOffset>> {
  const found = new Map<string, FoundOffset>();
  let open = queries;
  for (let attempt = 1; ; attempt++) {
    const failure = await lookupOnce(cluster, open, options, found);
    open = open.filter((query) => !found.has(keyOf(query)));
    if (open.length === 0) return found;
    const pauseMs = cluster.retryPauseMs(attempt);
    const isLate = cluster.nowMs() + pauseMs >= options.deadlineMs;
    if (failure !== undefined && (!failure.retriable || isLate)) throw failure;
    if (isLate) throw new TimeoutError('the offsets were not answered in time');
    cluster.requestRefresh();
    await sleep(cluster.runtime.timers, pauseMs, options.signal);
  }
}

async function lookupOnce(
  cluster: Cluster,
  queries: readonly OffsetQuery[],
  options: LookupOptions,
  found: Map<string, FoundOffset>,
): Promise<KafkaError | undefined> {
  let failure: KafkaError | undefined;
  const byLeader = new Map<number, broker.PartitionTimestamp[]>();
  for (const query of queries) {
    const { topic, partition, timestamp } = query;
    await cluster.topic(topic, options.deadlineMs, { partitionsMin: partition + 1, signal: options.signal });
    const info = cluster.partition(topic, partition);
    if (info === undefined || info.leaderId < 0) {
      failure ??= new LeaderNotAvailableError(`${topic}-${partition} has no leader`, { topic, partition });
      continue;
    }
    const asked = byLeader.get(info.leaderId) ?? [];
    asked.push({ topic, partition, currentLeaderEpoch: info.leaderEpoch, timestamp });
    byLeader.set(info.leaderId, asked);
  }
  const answers = [...byLeader].map(([leaderId, partitions]) =>
    askLeader(cluster, leaderId, partitions, options, found),
  );
  for (const error of await Promise.all(answers)) failure ??= error;
  return failure;
}

async function askLeader(
  cluster: Cluster,
  leaderId: number,
  partitions: broker.PartitionTimestamp[],
  options: LookupOptions,
  found: Map<string, FoundOffset>,
): Promise<KafkaError | undefined> {
  let failure: KafkaError | undefined;
  try {
    const request = { isolationLevel: options.isolationLevel, partitions };
    const answer = await cluster.callOnce(leaderId, brokerMethods.listOffsets, request, options.deadlineMs);
    for (const result of answer.partitions) {
      const { topic, partition, errorCode, offset, timestamp, leaderEpoch } = result;
      if (errorCode === 0) found.set(keyOf(result), { topic, partition, offset, timestamp, leaderEpoch });
      else failure ??= errorFromCode(errorCode, result.errorMessage, { topic, partition, broker: leaderId });
    }
  } catch (error) {
    failure = error as KafkaError;
  }
  return failure;
}

function keyOf({ topic, partition }: TopicPartition): string {
  return partitionKey(topic, partition);
}

export function withOffset({ topic, partition, offset }: FoundOffset): PartitionOffset {
  return { topic, partition, offset: BigInt(offset) };
}

export function offsetAtTime({ topic, partition, offset, timestamp, leaderEpoch }: FoundOffset): OffsetAtTime {
  return offset < 0
    ? { topic, partition, offset: undefined, timestamp: undefined, leaderEpoch: undefined }
    : { topic, partition, offset: BigInt(offset), timestamp, leaderEpoch };
}
