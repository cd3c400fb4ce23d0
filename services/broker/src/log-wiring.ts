import type { Logger } from '@naru/observability';
import type { Runtime } from '@naru/runtime';
import type { BrokerConfig } from './broker-config.ts';
import { topicById } from './cluster/metadata-image.ts';
import type { MetadataPublisher } from './cluster/metadata-publisher.ts';
import { LogManager } from './log/log-manager.ts';
import type { LogStore } from './replication/log-store.ts';

interface LogEvents {
  readonly logger: Logger;
  readonly highWatermarkOf: (topicId: string, partition: number) => number | undefined;
  readonly onDamage: (topicId: string, partition: number) => void;
  readonly onFailure: (error: Error) => void;
}

/** The logs of this broker's data directory. */
export function openLogs(
  runtime: Runtime,
  config: BrokerConfig,
  clusterId: string,
  { logger, highWatermarkOf, onDamage, onFailure }: LogEvents,
): Promise<LogManager> {
  return LogManager.open({
    runtime,
    logger,
    directories: [config['log.dirs']],
    brokerId: config['broker.id'],
    clusterId,
    defaultConfig: config.topicDefaults,
    tailBytesMax: config['log.memory.bytes'],
    checkpointIntervalMs: config['log.flush.offset.checkpoint.interval.ms'],
    retentionIntervalMs: config['log.retention.check.interval.ms'],
    producerIdExpirationMs: config['producer.id.expiration.ms'],
    ...(config['log.cleaner.enable'] && {
      cleaner: {
        backoffMs: config['log.cleaner.backoff.ms'],
        dedupeBufferBytes: config['log.cleaner.dedupe.buffer.size'],
        ioBytesPerSecondMax: config['log.cleaner.io.max.bytes.per.second'],
      },
    }),
    highWatermarkOf: (log) => highWatermarkOf(log.topicId, log.partition),
    onFailure: (_, error) => onFailure(error),
    onDamage: (log) => onDamage(log.topicId, log.partition),
  });
}

/** What replication needs of them. */
export function storeOf(logs: LogManager): LogStore {
  return {
    open: async (identity, config) => {
      const log = await logs.getOrCreate({ ...identity, config });
      log.updateConfig(config);
      return log;
    },
    quarantine: ({ topicId, partition }) => logs.quarantine(topicId, partition),
    delete: ({ topicId, partition }) => logs.delete(topicId, partition),
    highWatermarkOf: (log) => logs.highWatermarkAtStart(log),
  };
}

/**
 * What was deleted, or moved to other brokers, while this one was away. A reason is only what is committed about that very topic id: its deletion, or an
 * assignment without this broker (row 58).
 */
export function removeDeleted(logs: LogManager, publisher: MetadataPublisher, brokerId: number, logger: Logger): void {
  const { image } = publisher;
  const isGone = (topicId: string, partition: number): boolean => {
    const replicas = topicById(image, topicId)?.partitions[partition]?.replicas;
    return image.deletedTopicIds.has(topicId) || (replicas !== undefined && !replicas.includes(brokerId));
  };
  for (const { topicId, partition, topic } of [...logs.logs]) {
    if (!isGone(topicId, partition)) continue;
    logs.delete(topicId, partition).catch((error: unknown) => {
      logger.warn({ error, topic, partition }, 'the log of a replica that is none any more could not be removed');
    });
  }
}
