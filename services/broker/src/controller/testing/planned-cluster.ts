import type { MetadataImage } from '../../cluster/metadata-image.ts';
import { type Member, noLeader, type PartitionState } from '../../cluster/partition-state.ts';
import { ClusterModel, topicIdOf } from '../../cluster/testing/cluster-model.ts';
import { type DamagedReplicas, replicaKey } from '../../cluster/znode-codecs.ts';
import type { ClusterView } from '../partition-decision.ts';
import { type PartitionWrite, plan } from '../planner.ts';

export interface ViewOptions {
  readonly minIsr?: number;
  readonly unclean?: boolean;
  readonly stopping?: readonly number[];
}

export function viewOf(
  image: MetadataImage,
  { minIsr = 1, unclean = false, stopping = [] }: ViewOptions = {},
): ClusterView {
  return {
    image,
    controllerEpoch: 5,
    stopping: new Set(stopping),
    settingsOf: () => ({ minInsyncReplicas: minIsr, uncleanLeaderElection: unclean }),
  };
}

export function decideAll(cluster: ClusterModel, options: ViewOptions = {}): readonly PartitionWrite[] {
  return plan(viewOf(cluster.image, options), { kind: 'everything' });
}

/** The only decision about topic t, partition 0; undefined when it stays as it is. */
export function decide(cluster: ClusterModel, options: ViewOptions = {}): PartitionWrite | undefined {
  return decideAll(cluster, options)[0];
}

export const ids = (members: readonly Member[] | undefined): number[] =>
  (members ?? []).map((member) => member.brokerId);

/** Three brokers, one partition with all of them in the ISR, led by broker 1 in epoch 4. */
export async function threeInSync(
  replicas: readonly number[] = [1, 2, 3],
): Promise<{ cluster: ClusterModel; members: Record<number, Member> }> {
  const cluster = await ClusterModel.create([1, 2, 3]);
  await cluster.createTopic('t', [replicas]);
  const members = Object.fromEntries([1, 2, 3].map((id) => [id, { brokerId: id, brokerEpoch: cluster.epoch(id) }]));
  await set(cluster, { leader: 1, isr: [1, 2, 3].map((id) => members[id] as Member) });
  return { cluster, members };
}

export async function set(cluster: ClusterModel, state: Partial<PartitionState>): Promise<void> {
  await cluster.setState('t', 0, { leader: noLeader, leaderEpoch: 4, isr: [], elr: [], controllerEpoch: 1, ...state });
}

/** Writes a decision, as the controller would. */
export async function carryOut(cluster: ClusterModel, write: PartitionWrite | undefined): Promise<void> {
  if (write !== undefined) await cluster.setState(write.topic, write.partition, write.after);
}

/** What a registration says of t's log on that broker: intact up to `endOffset`. */
export function damagedTo(
  endOffset: number,
  { leaderEpoch = 4, beyondRecoveryPoint = true } = {},
  partition = 0,
): DamagedReplicas {
  return new Map([[replicaKey(topicIdOf('t'), partition), { endOffset, leaderEpoch, beyondRecoveryPoint }]]);
}

/** A synced part is damaged. */
export const lost = damagedTo(50, { beyondRecoveryPoint: false });
