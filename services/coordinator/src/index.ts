export { type Coordinator, createCoordinator } from './coordinator.ts';
export {
  type CoordinatorConfig,
  coordinatorConfigDefinition,
  parseCoordinatorConfig,
} from './coordinator-config.ts';
