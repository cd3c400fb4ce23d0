import { apis, errorCodes, type ResponseOf } from '@naru/kafka-protocol';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';

/** KIP-511. */
const softwareName = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/;
const softwareVersion = 3;

export const apiVersionsKey = apis.apiVersions.key;

type Response = ResponseOf<typeof apis.apiVersions>;

/** ApiVersions 0–4: what the registry holds. `served` is asked late: this API is part of it. */
export function apiVersionsApi(deps: KafkaDependencies, served: () => Iterable<KafkaApi>): KafkaApi {
  const options = { versions: [0, 4], authorization: 'none', onError: unexpected(deps.logger) } as const;
  return answeredApi(apis.apiVersions, options, (request, version): Response => {
    const isNamed = softwareName.test(request.clientSoftwareName) && softwareName.test(request.clientSoftwareVersion);
    if (version >= softwareVersion && !isNamed) return { errorCode: errorCodes.INVALID_REQUEST, apiKeys: [] };
    return { errorCode: errorCodes.NONE, apiKeys: apiKeysOf(served()) };
  });
}

/** The answer to a version of ApiVersions that is not known, in the body of version 0: a client then asks again with one that is. */
export function unsupportedApiVersions(served: Iterable<KafkaApi>): Response {
  return { errorCode: errorCodes.UNSUPPORTED_VERSION, apiKeys: apiKeysOf(served) };
}

function apiKeysOf(served: Iterable<KafkaApi>): Response['apiKeys'] {
  return [...served].map(({ api, versions }) => ({
    apiKey: api.key,
    minVersion: versions.min,
    maxVersion: versions.max,
  }));
}
