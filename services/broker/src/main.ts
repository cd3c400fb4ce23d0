import process from 'node:process';
import { Metrics } from '@naru/observability';
import { countBuffersInHeapLimit } from '@naru/runtime/node';
import { runService, type Service } from '@naru/service-process';
import { createBroker } from './broker.ts';
import { type BrokerConfig, brokerConfigDefinition, parseBrokerConfig } from './broker-config.ts';
import type { Endpoint } from './cluster/endpoint.ts';

const service: Service<BrokerConfig> = {
  name: 'broker',
  settings: brokerConfigDefinition.settings,
  parse: parseBrokerConfig,
  nodeOf: (config) => ({
    id: config['broker.id'],
    directory: config['node.dir'] ?? config['log.dirs'],
    logLevel: config['log.level'],
  }),
  remarksOn: (config) => config.remarks,
  start: async (runtime, config, logger) => {
    const broker = await createBroker(runtime, config, { logger, metrics: new Metrics() });
    return {
      clientAddress: (broker.endpoints[0] as Endpoint).address,
      onFailure: (callback) => broker.onFailure(callback),
      close: () => broker.close({ controlled: true }),
    };
  },
  closeTimeoutMs: 25_000,
};

/** Runs one broker; resolves with the exit status. */
export function main(argv: readonly string[]): Promise<number> {
  countBuffersInHeapLimit();
  return runService(service, argv);
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
