import { errorCodes, type KafkaErrorName } from '@naru/kafka-protocol';
import { type broker, controllerMethods } from '@naru/rpc';
import { sameConfig } from '../cluster/metadata-delta.ts';
import { type ConfigOverrides, defaultBrokerConfig, type MetadataImage, noConfig } from '../cluster/metadata-image.ts';
import type { Controller } from '../controller/controller.ts';
import type { ControllerCall } from '../controller/forwarder.ts';
import { type AdminDependencies, asController, deadlineOf, seenSoon, timedOut } from './admin-dependencies.ts';

const timeoutMs = 30_000;

/** Sets and removes overrides, key by key (Kafka's IncrementalAlterConfigs), of topics, of one broker, or of all. Answered when this broker knows the change. */
export async function alterConfigs(
  deps: AdminDependencies,
  request: broker.AlterConfigsRequest,
): Promise<broker.AlterConfigsResponse> {
  const deadlineMs = deadlineOf(deps.clock, timeoutMs);
  const forwarded = await deps.forwarder.forward(alterConfigsCall, request, deadlineMs);
  if (!forwarded.ok) {
    const { error, message } = timedOut;
    return { results: request.resources.map(({ resource }) => describe(resource, error, message)) };
  }
  const { response } = forwarded;
  if (!request.validateOnly) {
    for (const [index, result] of response.results.entries()) {
      const change = request.resources[index];
      if (result.errorCode !== errorCodes.NONE || change === undefined) continue;
      await seenSoon(deps, deadlineMs, (image) => hasChanged(image, change));
    }
  }
  return response;
}

function hasChanged(image: MetadataImage, change: broker.ConfigAlteration): boolean {
  const config = overridesOf(image, change.resource);
  if (config === undefined) return true;
  const wanted = new Map(config);
  for (const key of change.remove) wanted.delete(key);
  for (const [key, value] of Object.entries(change.set)) wanted.set(key, value);
  return sameConfig(config, wanted);
}

/** What a topic or broker overrides; undefined where there is no such topic. */
export function overridesOf(
  image: MetadataImage,
  resource: broker.ConfigResource | undefined,
): ConfigOverrides | undefined {
  const name = resource?.name ?? '';
  if (resource?.type === 'broker') return image.brokerConfigs.get(name || defaultBrokerConfig) ?? noConfig;
  return image.topics.get(name)?.config;
}

/** The controller's part. */
export async function alterConfigsAtController(
  controller: Controller,
  request: broker.AlterConfigsRequest,
): Promise<broker.AlterConfigsResponse> {
  const results: broker.ConfigDescription[] = [];
  for (const { resource, set, remove } of request.resources) {
    if (resource?.type !== 'topic' && resource?.type !== 'broker') {
      results.push(
        describe(
          resource,
          'INVALID_REQUEST',
          `Resource type '${resource?.type ?? ''}' is not known; it is topic or broker.`,
        ),
      );
      continue;
    }
    const change = { set: new Map(Object.entries(set)), remove };
    const result = await asController<{ readonly ok: true }>(controller, (term) =>
      resource.type === 'topic'
        ? term.alterTopicConfig(resource.name, change, request.validateOnly)
        : term.alterBrokerConfig(resource.name || defaultBrokerConfig, change, request.validateOnly),
    );
    results.push(result.ok ? describe(resource, 'NONE', '') : describe(resource, result.error, result.message));
  }
  return { results };
}

function describe(
  resource: broker.ConfigResource | undefined,
  error: KafkaErrorName,
  message: string,
): broker.ConfigDescription {
  return { resource, errorCode: errorCodes[error], errorMessage: message, entries: [] };
}

const alterConfigsCall: ControllerCall<broker.AlterConfigsRequest, broker.AlterConfigsResponse> = {
  method: controllerMethods.alterConfigs,
  answer: alterConfigsAtController,
  isNotController: (response) => response.results.some((result) => result.errorCode === errorCodes.NOT_CONTROLLER),
};
