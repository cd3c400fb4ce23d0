import type { groups } from '@naru/rpc';
import { deleteOffsets } from '../../groups/coordinator/group-offsets.ts';
import { type GroupDependencies, noError, wireError } from './group-dependencies.ts';

/** OffsetDelete: offsets of topics that no member consumes. */
export async function offsetDelete(
  { coordinator }: GroupDependencies,
  { groupId, partitions }: groups.OffsetDeleteRequest,
): Promise<groups.OffsetDeleteResponse> {
  const deleted = await deleteOffsets(coordinator, groupId, partitions);
  if (!deleted.ok) return { ...wireError(deleted.error), partitions: [] };
  return {
    ...noError,
    partitions: partitions.map(({ topic, partition }, i) => {
      return { topic, partition, errorCode: wireError(deleted.errors[i]).errorCode };
    }),
  };
}
