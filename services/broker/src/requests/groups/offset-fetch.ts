import { errorCodes } from '@naru/kafka-protocol';
import type { groups } from '@naru/rpc';
import { fetchOffsets } from '../../groups/coordinator/group-offsets.ts';
import { type GroupDependencies, noError, wireError } from './group-dependencies.ts';

/** OffsetFetch: replicated offsets only. `require_stable` has nothing to wait for while there are no transactions. */
export function offsetFetch(
  { coordinator }: GroupDependencies,
  request: groups.OffsetFetchRequest,
): groups.OffsetFetchResponse {
  const { groupId, memberId, generationId: generation, allPartitions, partitions } = request;
  const claim = memberId === '' ? undefined : { memberId, instanceId: '', generation };
  const fetched = fetchOffsets(coordinator, groupId, claim, allPartitions ? undefined : partitions);
  if (!fetched.ok) return { ...wireError(fetched.error), offsets: [] };
  return {
    ...noError,
    offsets: fetched.offsets.map(({ topic, partition, offset, leaderEpoch, metadata }) => {
      return { topic, partition, errorCode: errorCodes.NONE, offset, leaderEpoch, metadata };
    }),
  };
}
