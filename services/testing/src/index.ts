/**
 * A cluster in the calling process, for tests.
 *
 * @module @naru/testing
 */
export { type ClusterOptions, startCluster, type TestCluster } from './start-cluster.ts';
