/** The internal topic that holds groups and their offsets. */
export const offsetsTopic = '__consumer_offsets';

/**
 * Which partition of `__consumer_offsets` a group lives in: Java's `String.hashCode` over UTF-16 units, and Kafka's `Utils.abs`, by which the
 * smallest integer becomes 0. Clients and tools compute it themselves, so it can never change.
 */
export function groupPartition(groupId: string, partitions: number): number {
  let hash = 0;
  for (let i = 0; i < groupId.length; i++) hash = (Math.imul(31, hash) + groupId.charCodeAt(i)) | 0;
  return (hash === -0x80000000 ? 0 : Math.abs(hash)) % partitions;
}
