import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import type { ReplicaManager } from '../replication/replica-manager.ts';

export interface DescribeLogDirsDependencies {
  readonly replicas: ReplicaManager;
  /** `log.dirs`: one. */
  readonly logDirectory: string;
}

/** DescribeLogDirs: the one directory of this broker, with the size of every replica in it. */
export function describeLogDirs(
  deps: DescribeLogDirsDependencies,
  request: broker.DescribeLogDirsRequest,
): broker.DescribeLogDirsResponse {
  const asked = new Set(request.partitions.map(({ topic, partition }) => `${topic}/${partition}`));
  const replicas: broker.LogDirReplica[] = [];
  for (const { partition } of deps.replicas.hosted) {
    if (partition === undefined) continue;
    const { topic, index, log, highWatermark } = partition;
    if (asked.size > 0 && !asked.has(`${topic}/${index}`)) continue;
    const offsetLag = Math.max(0, highWatermark - log.logEndOffset);
    replicas.push({ topic, partition: index, sizeBytes: log.sizeBytes, offsetLag });
  }
  return { directories: [{ path: deps.logDirectory, errorCode: errorCodes.NONE, replicas }] };
}
