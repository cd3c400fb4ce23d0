export { type ClusterOptions, startCluster, type TestCluster } from './start-cluster.ts';
