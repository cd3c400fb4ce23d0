/** Kafka's AclOperation codes, as bits of "authorized operations" (KIP-430). */
const operation = {
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
} as const;

const bitsOf = (...names: readonly (keyof typeof operation)[]): number =>
  names.reduce((bits, name) => bits | (1 << operation[name]), 0);

/** Without an authorizer everybody may do everything. */
export const topicOperations = bitsOf(
  'read',
  'write',
  'create',
  'delete',
  'alter',
  'describe',
  'describeConfigs',
  'alterConfigs',
);
export const clusterOperations = bitsOf(
  'create',
  'alter',
  'describe',
  'clusterAction',
  'describeConfigs',
  'alterConfigs',
  'idempotentWrite',
);
export const groupOperations = bitsOf('read', 'delete', 'describe');
