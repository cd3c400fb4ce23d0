/** A limit on everything. */

/** Bytes of one proposal: the largest multi that the tree takes, and room for its encoding. */
export const proposalBytesMax = 16 * 1024 * 1024;
/** Proposals that wait for their commit at once. */
export const proposalsPendingMax = 65_536;
/** Bytes that may wait on the stream to one peer; what comes on top is dropped, Raft sends it again. */
export const peerPendingBytesMax = 64 * 1024 * 1024;
/** Bytes of one part of a snapshot. */
export const snapshotPartBytes = 256 * 1024;
/** Bytes of a snapshot that a node accepts from its leader. */
export const snapshotBytesMax = 1024 * 1024 * 1024;
/** Deletions in one batch after a snapshot, so that a long log does not hold up the writes. */
export const deletionsPerBatch = 2_000;
/** Entries that a learner may lack when it is made a voter. One that lacks more would be counted on before it can acknowledge anything (thesis §4.2.1). */
export const promotionLagMax = 1_000;
