/**
 * A limit on everything the tree holds. They are constants and not configuration: `apply` decides by them, and every node
 * must decide the same.
 */
export const limits = {
  /** Data of one znode. ZooKeeper: jute.maxbuffer. */
  znodeBytesMax: 1_048_576,
  /** A path in UTF-16 units, the suffix of a sequential znode included. */
  pathLengthMax: 1_024,
  childrenPerZnodeMax: 200_000,
  znodesMax: 2_000_000,
  /** Operations of one multi: a topic of 10,000 partitions in one zxid. */
  operationsPerWriteMax: 20_000,
  /** Data and paths of one multi: it must fit into one log entry and one message. */
  bytesPerWriteMax: 8_388_608,
  /**
   * Row 33 (ZOOKEEPER-4306): the end of a session removes all its ephemerals in one zxid, and the change that tells the
   * watchers must still fit into one message.
   */
  ephemeralsPerSessionMax: 10_000,
  ephemeralBytesPerSessionMax: 4_194_304,
  sessionsMax: 10_000,
  watchesPerSessionMax: 1_000,
  /** Ten digits. */
  sequenceMax: 9_999_999_999,
} as const;
