import type { groups } from '@naru/rpc';
import { type GroupDependencies, noError, wireError } from './group-dependencies.ts';

/** Key type of groups; transactions and share groups are not served yet. */
const groupKeyType = 0;
const keysMax = 1_000;

/** FindCoordinator: any broker answers. Waits for `__consumer_offsets` when this is the first call of the cluster. */
export async function findCoordinator(
  deps: GroupDependencies,
  { keyType, keys }: groups.FindCoordinatorRequest,
  listener: string,
): Promise<groups.FindCoordinatorResponse> {
  const find = async (key: string): Promise<groups.Coordinator> => {
    if (keyType !== groupKeyType || keys.length > keysMax) {
      return { key, ...wireError('INVALID_REQUEST'), nodeId: -1, host: '', port: -1 };
    }
    const found = await deps.lookup.find(key, listener);
    if (!found.ok) return { key, ...wireError(found.error), nodeId: -1, host: '', port: -1 };
    return { key, ...noError, nodeId: found.nodeId, host: found.host, port: found.port };
  };
  return { coordinators: await Promise.all(keys.map(find)) };
}
