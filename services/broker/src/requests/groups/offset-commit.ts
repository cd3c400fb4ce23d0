import type { groups } from '@naru/rpc';
import { commitOffsets } from '../../groups/coordinator/group-offsets.ts';
import { type GroupDependencies, noError, wireError } from './group-dependencies.ts';

/** OffsetCommit: answered when the offsets are in the log, on every replica in sync. */
export async function offsetCommit(
  { coordinator }: GroupDependencies,
  request: groups.OffsetCommitRequest,
): Promise<groups.OffsetCommitResponse> {
  const { memberId, groupInstanceId: instanceId, generationId: generation, offsets } = request;
  const errors = await commitOffsets(coordinator, request.groupId, { memberId, instanceId, generation }, offsets);
  const [first] = errors;
  const isAlike = first !== undefined && first !== 'NONE' && errors.every((error) => error === first);
  return {
    ...(isAlike && !ofOnePartition.has(first) ? wireError(first) : noError),
    offsets: offsets.map(({ topic, partition }, i) => {
      return { topic, partition, errorCode: wireError(errors[i]).errorCode };
    }),
  };
}

/** Say something about a partition, never about the request. */
const ofOnePartition: ReadonlySet<string> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'OFFSET_METADATA_TOO_LARGE',
  'INVALID_REQUEST',
]);
