import type { Logger } from '@naru/observability';
import type { ReplicaManager } from '../../replication/replica-manager.ts';
import type { RequestDependencies } from '../request-table.ts';

/** What Kafka's APIs need: the same handlers as gRPC's, and what only Kafka's protocol asks for. */
export interface KafkaDependencies extends RequestDependencies {
  readonly replicas: ReplicaManager;
  /** `auto.create.topics.enable`. */
  readonly autoCreateTopics: boolean;
  readonly logger: Logger;
}
