import { apis, errorCodes } from '@naru/kafka-protocol';
import { metadata } from '../metadata.ts';
import { clusterOperations } from './authorized-operations.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { controllerOf } from './metadata.ts';
import { unexpected } from './unexpected.ts';

const brokersEndpoint = 1;
/** UNSUPPORTED_ENDPOINT_TYPE; no client of ours can meet it. */
const unsupportedEndpointType = 115;

/** DescribeCluster 0–2. There are only brokers to describe: controllers are brokers. */
export function describeClusterApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [0, 2], authorization: 'Describe on Cluster', onError: unexpected(deps.logger) } as const;
  return answeredApi(apis.describeCluster, options, (request, _, { listener }) => {
    if (request.endpointType !== brokersEndpoint) {
      const message = 'Brokers answer here; there is no endpoint of controllers.';
      return { errorCode: unsupportedEndpointType, errorMessage: message, clusterId: '', brokers: [] };
    }
    const found = metadata(deps.admin, { topics: [], allTopics: false }, listener);
    return {
      errorCode: errorCodes.NONE,
      clusterId: found.clusterId,
      controllerId: controllerOf(found),
      brokers: found.brokers.map(({ id, host, port, rack }) => ({ brokerId: id, host, port, rack: rack || null })),
      ...(request.includeClusterAuthorizedOperations ? { clusterAuthorizedOperations: clusterOperations } : {}),
    };
  });
}
