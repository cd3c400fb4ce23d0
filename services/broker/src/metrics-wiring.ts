import type { Metrics } from '@naru/observability';
import type { Runtime } from '@naru/runtime';
import type { BrokerConfig } from './broker-config.ts';
import type { ListenerSet } from './listeners/listener-set.ts';
import { MetricsListener } from './listeners/metrics-listener.ts';
import type { RequestBudget } from './listeners/request-budget.ts';
import type { CleanerCounts } from './log/cleaner.ts';
import type { ReplicaManager } from './replication/replica-manager.ts';

export function registerMetrics(
  metrics: Metrics,
  replicas: ReplicaManager,
  budget: RequestBudget,
  listeners: ListenerSet,
): void {
  const count = (
    counts: (hosted: ReplicaManager['hosted'] extends Iterable<infer H> ? H : never) => boolean,
  ): number => {
    let total = 0;
    for (const hosted of replicas.hosted) if (counts(hosted)) total++;
    return total;
  };
  metrics.gauge('naru_partitions', 'Replicas on this broker', () => count(() => true));
  metrics.gauge('naru_leaders', 'Partitions that this broker leads', () =>
    count((h) => h.partition?.isLeader ?? false),
  );
  metrics.gauge(
    'naru_under_min_isr_partitions',
    'Led partitions with fewer replicas in sync than min.insync.replicas',
    () => count((h) => h.partition?.state.leader?.isUnderMinInSync ?? false),
  );
  metrics.gauge('naru_damaged_replicas', 'Replicas whose log is damaged', () => count((h) => h.isDamaged));
  metrics.gauge('naru_producer_ids', 'Idempotent producers that are remembered, over all partitions', () => {
    let total = 0;
    for (const { partition } of replicas.hosted) total += partition?.log.producers.size ?? 0;
    return total;
  });
  metrics.gauge('naru_connections', 'Open connections on all listeners', () => listeners.quota.count);
  metrics.gauge('naru_queued_request_bytes', 'Bytes of requests that are not answered yet', () => budget.bytes);
}

export function registerCleanerMetrics(metrics: Metrics, counts: Readonly<CleanerCounts> | undefined): void {
  if (counts === undefined) return;
  metrics.gauge('naru_cleaner_passes', 'Logs that were compacted since the start', () => counts.passes);
  metrics.gauge('naru_cleaner_read_bytes', 'Bytes that compaction has read', () => counts.readBytes);
  metrics.gauge('naru_cleaner_bytes_before', 'Bytes of compacted segments before', () => counts.bytesBefore);
  metrics.gauge('naru_cleaner_bytes_after', 'Bytes of compacted segments after', () => counts.bytesAfter);
  metrics.gauge(
    'naru_uncleanable_logs',
    'Logs that cannot be compacted until the next start',
    () => counts.uncleanable,
  );
  metrics.gauge('naru_cleaner_max_dirty_ratio', 'Dirty share of the dirtiest log', () => counts.maxDirtyRatio);
}

/** On `metrics.port`, unless that is negative. */
export async function listenForMetrics(
  { network, timers }: Runtime,
  config: BrokerConfig,
  metrics: Metrics,
  isReady: () => boolean,
): Promise<MetricsListener | undefined> {
  const port = config['metrics.port'];
  if (port < 0) return undefined;
  const address = { host: config['metrics.host'], port };
  const listener = new MetricsListener({ network, timers, address, metrics: () => metrics.format(), isReady });
  await listener.listen();
  return listener;
}
