import { apis } from '@naru/kafka-protocol';
import { initProducerId } from '../init-producer-id.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';

/** InitProducerId 0–5, without a transactional id. Whatever id a producer had, it gets a new one, as in Kafka. */
export function initProducerIdApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 5],
    authorization: 'IdempotentWrite on Cluster or Write on any Topic',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.initProducerId, options, async (request) => {
    const { errorCode, producerId, producerEpoch } = await initProducerId(deps.producerIds, {
      transactionalId: request.transactionalId ?? '',
    });
    return { errorCode, producerId, producerEpoch };
  });
}
