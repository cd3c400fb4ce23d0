import type { NodeId } from '@naru/raft';
import type { Disk } from '@naru/runtime';
import { QuorumError } from './errors.ts';

const metaFile = 'meta.json';

export interface DirectoryOwner {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  /** The first voters of the cluster. Fixed at the first start: nodes that began with different lists could have two majorities. */
  readonly bootstrapVoters: readonly NodeId[];
}

/**
 * Claims the directory for this node, or checks that it is its own: another node's log under this id would vote twice.
 * Fails with `foreign-directory`. Answers with what the first start wrote.
 */
export async function claimDirectory(disk: Disk, directory: string, owner: DirectoryOwner): Promise<DirectoryOwner> {
  await disk.makeDirectory(directory);
  const path = `${directory}/${metaFile}`;
  if ((await disk.stat(path)) === undefined) {
    const meta = {
      version: 1,
      node_id: owner.nodeId,
      cluster_id: owner.clusterId,
      bootstrap_voters: owner.bootstrapVoters,
    };
    await disk.replaceFile(path, Buffer.from(`${JSON.stringify(meta)}\n`));
    return owner;
  }
  const found = parseMeta(path, await disk.readFile(path));
  if (found.nodeId !== owner.nodeId) {
    throw new QuorumError(
      'foreign-directory',
      `${directory} belongs to coordinator ${found.nodeId}, this is ${owner.nodeId}`,
    );
  }
  if (found.clusterId !== owner.clusterId) {
    throw new QuorumError(
      'foreign-directory',
      `${directory} belongs to cluster ${found.clusterId}, this is ${owner.clusterId}`,
    );
  }
  return found;
}

function parseMeta(path: string, bytes: Uint8Array): DirectoryOwner {
  try {
    const meta = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    const { node_id: nodeId, cluster_id: clusterId, bootstrap_voters: voters } = meta;
    if (typeof nodeId === 'number' && typeof clusterId === 'string' && Array.isArray(voters)) {
      return { nodeId, clusterId, bootstrapVoters: voters as NodeId[] };
    }
  } catch {
    // Told below.
  }
  throw new QuorumError('corrupt', `${path} is damaged`);
}
