import type { Logger } from '@naru/observability';
import { addressOf } from '../../cluster/endpoint.ts';
import { isAlive, type MetadataImage } from '../../cluster/metadata-image.ts';
import type { MetadataPublisher } from '../../cluster/metadata-publisher.ts';
import { isTooLong } from './coordinator-settings.ts';
import type { Refused } from './group-coordinator.ts';
import { groupPartition, offsetsTopic } from './group-partition.ts';

export interface CoordinatorLookupOptions {
  readonly publisher: MetadataPublisher;
  /** Creates `__consumer_offsets`; undefined when it is there (also when another broker was first), otherwise why not. */
  readonly createOffsetsTopic: () => Promise<string | undefined>;
  readonly logger: Logger;
}

export interface CoordinatorNode {
  readonly ok: true;
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

/** Says which broker coordinates a group, on any broker. The first who asks has the internal topic created. */
export class CoordinatorLookup {
  readonly #options: CoordinatorLookupOptions;
  #creating: Promise<void> | undefined;

  constructor(options: CoordinatorLookupOptions) {
    this.#options = options;
  }

  /** The address is that of `listener`; who leads but has none is not available to who came by it. */
  async find(
    groupId: string,
    listener: string,
  ): Promise<CoordinatorNode | Refused<'INVALID_GROUP_ID' | 'COORDINATOR_NOT_AVAILABLE'>> {
    if (groupId === '' || isTooLong(groupId)) return { ok: false, error: 'INVALID_GROUP_ID' };
    const { publisher } = this.#options;
    if (!publisher.image.topics.has(offsetsTopic)) await this.#create();
    return coordinatorOf(publisher.image, groupId, listener) ?? { ok: false, error: 'COORDINATOR_NOT_AVAILABLE' };
  }

  /** One attempt at a time, whoever asks. */
  #create(): Promise<void> {
    this.#creating ??= this.#attempt().finally(() => {
      this.#creating = undefined;
    });
    return this.#creating;
  }

  async #attempt(): Promise<void> {
    const { createOffsetsTopic, logger } = this.#options;
    const problem = await createOffsetsTopic();
    if (problem !== undefined) logger.warn({ topic: offsetsTopic, problem }, 'the internal topic is not there yet');
  }
}

function coordinatorOf(image: MetadataImage, groupId: string, listener: string): CoordinatorNode | undefined {
  const partitions = image.topics.get(offsetsTopic)?.partitions;
  if (partitions === undefined || partitions.length === 0) return undefined;
  const state = partitions[groupPartition(groupId, partitions.length)]?.state;
  const leader = state?.isr.find(({ brokerId }) => brokerId === state.leader);
  const broker = leader === undefined || !isAlive(image, leader) ? undefined : image.brokers.get(leader.brokerId);
  const address = broker && addressOf(broker, listener);
  return broker && address && { ok: true, nodeId: broker.id, ...address };
}
