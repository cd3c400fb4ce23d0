import type { groups } from '@naru/rpc';
import { deleteGroup } from '../../groups/coordinator/group-offsets.ts';
import { type GroupDependencies, wireError } from './group-dependencies.ts';

/** DeleteGroups: empty groups with their offsets, each with an outcome of its own. */
export async function deleteGroups(
  { coordinator }: GroupDependencies,
  { groupIds }: groups.DeleteGroupsRequest,
): Promise<groups.DeleteGroupsResponse> {
  const remove = async (groupId: string): Promise<groups.DeletedGroup> => {
    return { groupId, ...wireError(await deleteGroup(coordinator, groupId)) };
  };
  return { groups: await Promise.all(groupIds.map(remove)) };
}
