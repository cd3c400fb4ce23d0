import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { codeOf } from '../replication/error-codes.ts';
import type { ReplicaManager } from '../replication/replica-manager.ts';

/** DescribeProducers (KIP-664): what a replica of this broker knows of idempotent producers, expired ones left out. */
export function describeProducers(
  replicas: ReplicaManager,
  request: broker.DescribeProducersRequest,
): broker.DescribeProducersResponse {
  return {
    partitions: request.partitions.map(({ topic, partition }) => {
      const found = replicas.find(topic, '', partition);
      if (found.kind !== 'partition') return { topic, partition, errorCode: codeOf[found.kind], producers: [] };
      const active = [...found.partition.log.producers.entries()].filter(({ runs }) => runs.length > 0);
      const producers = active.map(({ producerId, epoch, lastSequence, lastActiveMs }) => {
        return { producerId, producerEpoch: epoch, lastSequence, lastTimestamp: lastActiveMs };
      });
      return { topic, partition, errorCode: errorCodes.NONE, producers };
    }),
  };
}
