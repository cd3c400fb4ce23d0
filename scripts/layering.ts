/**
 * The layers of the project as data: who may import whom. A key is a folder; the longest key that contains a file rules it. `packages`
 * are named without the scope; `within` are sibling folders of the same service. What is not listed is not allowed.
 */
export interface Layer {
  /** Workspace packages that may be imported. */
  readonly packages: readonly string[];
  /** Folders or files (relative to the service's `src`) of the same service that may be imported; 'anything' for a composition root. */
  readonly within?: readonly string[] | 'anything';
  /** node: modules that may be imported, besides the pure ones. */
  readonly node?: readonly string[] | 'anything';
}

/** Modules of Node that neither wait nor touch the outside world. */
export const pureNodeModules = [
  'node:buffer',
  'node:util',
  'node:assert',
  'node:events',
  'node:string_decoder',
  'node:path',
  'node:diagnostics_channel',
];

export const layers: Readonly<Record<string, Layer>> = {
  'packages/runtime': { packages: [], node: 'anything' },
  'packages/rpc': { packages: ['runtime'], node: 'anything' },
  'packages/config': { packages: [] },
  'packages/observability': { packages: [] },
  'packages/kafka-protocol': { packages: [] },
  // zlib's synchronous half is pure.
  'packages/record': { packages: [], node: ['node:zlib', 'node:module'] },
  // The edge around a node: arguments, signals, files that people read.
  'packages/service-process': { packages: ['runtime', 'config', 'observability'], node: ['node:process'] },
  'packages/raft': { packages: ['runtime'] },
  'packages/coordinator-client': { packages: ['runtime', 'rpc', 'observability'] },

  // zlib's crc32 and crypto's digests are pure.
  'services/coordinator/src/tree': { packages: ['runtime', 'rpc'], node: ['node:crypto', 'node:zlib'] },
  'services/coordinator/src/quorum': {
    packages: ['runtime', 'rpc', 'raft', 'observability', 'record'],
    node: ['node:zlib'],
  },
  'services/coordinator/src/listeners': {
    packages: ['runtime', 'rpc', 'observability', 'config'],
    within: ['tree', 'quorum'],
  },
  'services/coordinator/src': {
    packages: ['runtime', 'rpc', 'raft', 'config', 'observability', 'service-process'],
    within: 'anything',
    node: ['node:process'],
  },

  'services/broker/src/log': {
    packages: ['runtime', 'record', 'config', 'observability', 'kafka-protocol'],
    node: ['node:crypto'],
  },
  'services/broker/src/cluster': {
    packages: ['runtime', 'coordinator-client', 'config', 'observability', 'kafka-protocol'],
  },
  'services/broker/src/replication/core': { packages: ['runtime'], within: ['cluster'] },
  'services/broker/src/replication': {
    packages: ['runtime', 'rpc', 'record', 'config', 'observability', 'kafka-protocol'],
    within: ['replication/core', 'log', 'cluster'],
  },
  'services/broker/src/controller': {
    packages: ['runtime', 'rpc', 'coordinator-client', 'config', 'observability', 'kafka-protocol'],
    within: ['cluster', 'log/log-config.ts'],
  },
  'services/broker/src/groups/records': { packages: ['kafka-protocol', 'runtime'] },
  'services/broker/src/groups/core': { packages: ['kafka-protocol', 'runtime'], within: ['groups/records'] },
  'services/broker/src/groups': {
    packages: ['runtime', 'rpc', 'record', 'observability', 'kafka-protocol'],
    within: ['groups', 'replication', 'cluster', 'log'],
  },
  'services/broker/src/requests': {
    packages: ['runtime', 'rpc', 'record', 'config', 'observability', 'kafka-protocol', 'coordinator-client'],
    within: ['groups', 'replication', 'controller', 'cluster', 'log'],
  },
  'services/broker/src/listeners': {
    packages: ['runtime', 'rpc', 'observability', 'kafka-protocol', 'config'],
    within: ['requests'],
  },
  'services/broker/src': {
    packages: [
      'runtime',
      'rpc',
      'record',
      'config',
      'observability',
      'kafka-protocol',
      'coordinator-client',
      'service-process',
    ],
    within: 'anything',
    node: ['node:process'],
  },

  'services/client/src': { packages: ['runtime', 'rpc', 'record', 'config', 'kafka-protocol'], within: 'anything' },
  // Tests of others: a cluster in the calling process.
  'services/testing/src': {
    packages: ['runtime', 'observability', 'broker', 'coordinator'],
    node: ['node:fs/promises', 'node:os'],
  },
  // The command line is an edge: it starts processes, reads terminals and files.
  'services/cli/src': {
    packages: [
      'runtime',
      'rpc',
      'config',
      'observability',
      'client',
      'coordinator-client',
      'kafka-protocol',
      'record',
      'broker',
      'coordinator',
    ],
    within: 'anything',
    node: 'anything',
  },
};

/** Ambient functions that only the edges may call (style: no ambient world). */
export const ambientCalls =
  /\b(?:Date\.now|new Date\(\s*\)|Math\.random|performance\.now|process\.hrtime|crypto\.random\w+|randomUUID|setTimeout|setInterval|setImmediate|process\.nextTick|AbortSignal\.timeout)\b/;

export const ambientAllowed = [
  'packages/runtime/',
  'packages/rpc/src/wire/',
  'services/cli/',
  'bench/',
  'scripts/',
  'tests/',
];
