import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { type ProducerIds, ProducerIdsUnavailableError } from '../cluster/producer-ids.ts';

const none = -1;

/**
 * InitProducerId for idempotent producers: any broker, always a fresh id with epoch 0 (KIP-98). A producer that must begin anew raises its epoch by itself
 * (KIP-360); only when its epochs are used up it asks again.
 *
 * - UNSUPPORTED_VERSION with a transactional id: transactions are not served yet.
 * - COORDINATOR_LOAD_IN_PROGRESS: no block of ids could be had now; try again.
 */
export async function initProducerId(
  ids: Pick<ProducerIds, 'next'>,
  request: broker.InitProducerIdRequest,
): Promise<broker.InitProducerIdResponse> {
  if (request.transactionalId !== '') {
    return refused(errorCodes.UNSUPPORTED_VERSION, 'transactions are not supported');
  }
  try {
    return { errorCode: errorCodes.NONE, errorMessage: '', producerId: await ids.next(), producerEpoch: 0 };
  } catch (error) {
    if (!(error instanceof ProducerIdsUnavailableError)) throw error;
    return refused(errorCodes.COORDINATOR_LOAD_IN_PROGRESS, error.message);
  }
}

function refused(errorCode: number, errorMessage: string): broker.InitProducerIdResponse {
  return { errorCode, errorMessage, producerId: none, producerEpoch: none };
}
