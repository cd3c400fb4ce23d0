export { bootstrapServers, type ClusterLayout, coordinatorAddresses, nodesOf } from './cluster/layout.ts';
export { Supervisor } from './cluster/supervisor.ts';
