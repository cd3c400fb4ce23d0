/** The generated messages: `broker.ProduceRequest` is a type and, as a value, its generated codec. */
export * as broker from './generated/naru/broker/v1/broker.ts';
export * as groups from './generated/naru/broker/v1/groups.ts';
export * as replication from './generated/naru/broker/v1/replication.ts';
export * as coordinator from './generated/naru/coordinator/v1/coordinator.ts';
export * as quorum from './generated/naru/coordinator/v1/quorum.ts';
