import process from 'node:process';
import { runService, type Service } from '@naru/service-process';
import { createCoordinator } from './coordinator.ts';
import { type CoordinatorConfig, coordinatorConfigDefinition, parseCoordinatorConfig } from './coordinator-config.ts';

const service: Service<CoordinatorConfig> = {
  name: 'coordinator',
  settings: coordinatorConfigDefinition.settings,
  parse: parseCoordinatorConfig,
  nodeOf: (config) => ({
    id: config['node.id'],
    directory: config['data.dir'],
    logLevel: config['log.level'],
    logFile: config['log.file'],
  }),
  start: (runtime, config, logger) => createCoordinator(runtime, config, { logger }),
  closeTimeoutMs: 10_000,
};

/** Runs one coordinator; resolves with the exit status. */
export function main(argv: readonly string[]): Promise<number> {
  return runService(service, argv);
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
