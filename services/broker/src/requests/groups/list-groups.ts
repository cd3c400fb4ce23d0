import type { groups } from '@naru/rpc';
import { listGroups as groupsOf } from '../../groups/coordinator/group-descriptions.ts';
import { type GroupDependencies, wireError } from './group-dependencies.ts';

/** ListGroups: those of this broker, filtered by state and type (KIP-518, KIP-848). */
export function listGroups(
  { coordinator }: GroupDependencies,
  request: groups.ListGroupsRequest,
): groups.ListGroupsResponse {
  const states = lowerCase(request.states);
  const types = lowerCase(request.types);
  return {
    ...wireError(coordinator.isLoading ? 'COORDINATOR_LOAD_IN_PROGRESS' : undefined),
    groups: groupsOf(coordinator)
      .filter(({ type }) => types.size === 0 || types.has(type.toLowerCase()))
      .filter(({ state }) => states.size === 0 || states.has(state.toLowerCase()))
      .map(({ groupId, protocolType, state, type }) => ({ groupId, protocolType, state, type })),
  };
}

function lowerCase(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((name) => name.toLowerCase()));
}
