export { type Broker, createBroker } from './broker.ts';
export { type BrokerConfig, brokerConfigDefinition, parseBrokerConfig } from './broker-config.ts';
export { assignReplicas } from './controller/assignment.ts';
