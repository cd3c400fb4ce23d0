/**
 * The state of a partition as the coordinator holds it, in `/brokers/topics/T/partitions/P/state`. Two parties write it, its leader (ISR
 * changes) and the controller (elections); both compare-and-set on the znode's version.
 *
 * A member of the ISR is an *incarnation* of a broker: its id with its broker epoch, the czxid of its registration. A broker
 * that bounced is another incarnation and therefore in no ISR, whatever anyone has noticed yet (row 10, KIP-380, KIP-903):
 *   1. broker 2 is killed without its unsynced tail and starts again before anyone saw it gone;
 *   2. it registers: a new czxid, a new epoch;
 *   3. every ISR that lists it lists the old epoch: it is not a member, does not lead, and is not counted,
 *      until its leader re-admits the new incarnation by a compare-and-set that also checks the registration's czxid.
 */
export interface PartitionState {
  /** -1: none can be elected. */
  readonly leader: number;
  /** Grows with every change of leadership. */
  readonly leaderEpoch: number;
  readonly isr: readonly Member[];
  /**
   * Eligible leader replicas (KIP-966): left the ISR when it was already at `min.insync.replicas` or below, so the high watermark has not moved
   * since and they hold everything that was acknowledged.
   */
  readonly elr: readonly Member[];
  /** Epoch of the controller that wrote it last. */
  readonly controllerEpoch: number;
  /**
   * The leader was elected although its log is damaged from this offset on: it cuts there before it leads, in this leader epoch only. Gone as soon as it
   * has done so (Kafka's leader recovery state, KIP-704).
   */
  readonly recoverTo?: number;
}

/** One incarnation of a broker. */
export interface Member {
  readonly brokerId: number;
  readonly brokerEpoch: number;
}

export const noLeader = -1;

export function sameMember(a: Member, b: Member): boolean {
  return a.brokerId === b.brokerId && a.brokerEpoch === b.brokerEpoch;
}

export function includesMember(members: readonly Member[], member: Member): boolean {
  return members.some((m) => sameMember(m, member));
}

/** How many members the ISR needs before the high watermark moves: a topic with fewer replicas than `min.insync.replicas` needs them all. */
export function effectiveMinIsr(minInsyncReplicas: number, replicationFactor: number): number {
  return Math.max(1, Math.min(minInsyncReplicas, replicationFactor));
}

/**
 * The ELR that belongs to a change of the ISR (KIP-966), for both writers of a partition's state.
 *
 * With enough members the ELR is empty: acknowledged records will be missing on those that left. Below that the high watermark stands still, so
 * whoever left the ISR or was in the ELR keeps everything that was acknowledged. A leader therefore must not move its high watermark while
 * the committed ELR is not empty, whatever it believes `min.insync.replicas` to be (R3).
 */
export function nextElr(before: PartitionState, isr: readonly Member[], minIsr: number): readonly Member[] {
  if (isr.length >= minIsr) return [];
  const inIsr = new Set(isr.map((member) => member.brokerId));
  const elr = before.elr.filter((member) => !inIsr.has(member.brokerId));
  const inElr = new Set(elr.map((member) => member.brokerId));
  const left = before.isr.filter((member) => !inIsr.has(member.brokerId) && !inElr.has(member.brokerId));
  return [...elr, ...left];
}

export function sameMembers(a: readonly Member[], b: readonly Member[]): boolean {
  return a.length === b.length && a.every((member, index) => sameMember(member, b[index] as Member));
}
