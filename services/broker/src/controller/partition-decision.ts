import {
  isAlive,
  type MetadataImage,
  memberOf,
  type PartitionImage,
  type TopicImage,
} from '../cluster/metadata-image.ts';
import {
  effectiveMinIsr,
  type Member,
  nextElr,
  noLeader,
  type PartitionState,
  sameMembers,
} from '../cluster/partition-state.ts';
import { type DamagedReplica, replicaKey } from '../cluster/znode-codecs.ts';

/** What the controller decides by: one image, and what it knows beyond it. */
export interface ClusterView {
  readonly image: MetadataImage;
  /** Written into every state that this controller decides. */
  readonly controllerEpoch: number;
  /** Brokers in a controlled shutdown: alive, but not to be given anything. */
  readonly stopping: ReadonlySet<number>;
  readonly settingsOf: (topic: TopicImage) => PartitionSettings;
}

export interface PartitionSettings {
  readonly minInsyncReplicas: number;
  readonly uncleanLeaderElection: boolean;
}

/**
 * - `initial`: a new partition's first state.
 * - `elected…`, `preferred`: another leader; by which right, see `electLeader`.
 * - `offline`: nobody may lead.
 * - `shrunk`: the leader stays, members that are gone left the ISR, or the ELR is out of date.
 * - `recovered`: the leader has cut its damage off.
 */
export type DecisionReason =
  | 'initial'
  | 'elected'
  | 'elected-eligible'
  | 'elected-returned'
  | 'elected-intact-part'
  | 'elected-unclean'
  | 'preferred'
  | 'offline'
  | 'shrunk'
  | 'recovered';

export interface Decision {
  readonly state: PartitionState;
  readonly reason: DecisionReason;
}

/** One partition as the decision sees it. */
interface Candidate {
  readonly view: ClusterView;
  readonly topic: TopicImage;
  readonly partition: number;
  readonly replicas: readonly number[];
  /** Of them, those that a move has added: they may have nothing yet. */
  readonly adding: readonly number[];
  readonly minIsr: number;
  readonly unclean: boolean;
}

/**
 * The state that a partition should have, or undefined when it has it already. It depends on nothing but the view, whatever happened to lead there: a controller that
 * has just taken office and one that saw every step decide alike, and deciding twice changes nothing.
 */
export function decidePartition(view: ClusterView, topic: TopicImage, partition: number): Decision | undefined {
  const image = topic.partitions[partition] as PartitionImage;
  const candidate = candidateOf(view, topic, partition, image);
  const { state } = image;
  if (state === undefined) return initialState(candidate);
  const leader = state.isr.find((member) => member.brokerId === state.leader);
  if (leader === undefined || !mayLead(candidate, state, leader)) return electLeader(candidate, state);
  if (view.stopping.has(leader.brokerId)) {
    const moved = moveLeadership(candidate, state);
    if (moved !== undefined) return moved;
  }
  return shrink(candidate, state, leader);
}

/** Gives the leadership back to the first replica, if it is in sync; undefined when there is nothing to do. */
export function decidePreferred(view: ClusterView, topic: TopicImage, partition: number): Decision | undefined {
  const image = topic.partitions[partition] as PartitionImage;
  const { state } = image;
  if (state === undefined || state.leader === image.replicas[0]) return undefined;
  const candidate = candidateOf(view, topic, partition, image);
  const preferred = state.isr.find((member) => member.brokerId === image.replicas[0]);
  if (preferred === undefined || !isUsable(candidate, preferred) || view.stopping.has(preferred.brokerId))
    return undefined;
  return elected(candidate, state, preferred, remainingIsr(candidate, state, preferred), 'preferred');
}

/**
 * The state of a partition of which only the replicas `staying` are left, in a new leader epoch. Whoever stays in the ISR has everything that was acknowledged (R2); but
 * as many must stay as `min.insync.replicas` asks for, or as there were: undefined when that is not so (row 13).
 */
export function decideWithin(
  view: ClusterView,
  topic: TopicImage,
  partition: number,
  staying: readonly number[],
): PartitionState | undefined {
  const image = topic.partitions[partition] as PartitionImage;
  const { state } = image;
  if (state === undefined) return undefined;
  const candidate = candidateOf(view, topic, partition, { ...image, replicas: staying });
  const stays = ({ brokerId }: Member): boolean => staying.includes(brokerId);
  const elr = state.elr.filter(stays);
  if (state.leader === noLeader) {
    const isr = state.isr.filter(stays);
    const { recoverTo: _, ...before } = state;
    return isr.length === 0 ? undefined : { ...before, isr, elr, controllerEpoch: view.controllerEpoch };
  }
  const isr = state.isr.filter((member) => stays(member) && isUsable(candidate, member));
  if (isr.length < Math.min(candidate.minIsr, state.isr.length)) return undefined;
  const current = isr.find((member) => member.brokerId === state.leader);
  const leader = current ?? preferNotStopping(candidate, inReplicaOrder(candidate, isr));
  if (leader === undefined) return undefined;
  const after = elected(candidate, { ...state, elr }, leader, isr, 'elected').state;
  return { ...after, elr: after.elr.filter(stays) };
}

function candidateOf(view: ClusterView, topic: TopicImage, partition: number, image: PartitionImage): Candidate {
  const settings = view.settingsOf(topic);
  return {
    view,
    topic,
    partition,
    replicas: image.replicas,
    adding: image.adding,
    minIsr: effectiveMinIsr(settings.minInsyncReplicas, image.replicas.length),
    unclean: settings.uncleanLeaderElection,
  };
}

/** Alive as this very incarnation, and its replica is whole. */
function isUsable(candidate: Candidate, member: Member): boolean {
  return isAlive(candidate.view.image, member) && !isDamaged(candidate, member.brokerId);
}

/** Usable, or elected in spite of this very damage and about to cut it off. */
function mayLead(candidate: Candidate, { recoverTo }: PartitionState, leader: Member): boolean {
  if (isUsable(candidate, leader)) return true;
  const damage = damageOf(candidate, leader.brokerId);
  return isAlive(candidate.view.image, leader) && damage !== undefined && damage.endOffset === recoverTo;
}

function damageOf({ view, topic, partition }: Candidate, brokerId: number): DamagedReplica | undefined {
  return view.image.brokers.get(brokerId)?.damaged.get(replicaKey(topic.id, partition));
}

function isDamaged(candidate: Candidate, brokerId: number): boolean {
  return damageOf(candidate, brokerId) !== undefined;
}

/** All logs are still empty, so every live replica is in sync. Without a live one the partition waits. */
function initialState(candidate: Candidate): Decision | undefined {
  const { view, replicas } = candidate;
  const isr = replicas.flatMap((brokerId) => {
    const member = memberOf(view.image, brokerId);
    return member !== undefined && isUsable(candidate, member) ? [member] : [];
  });
  const leader = isr.find((member) => !view.stopping.has(member.brokerId)) ?? isr[0];
  if (leader === undefined) return undefined;
  const state = { leader: leader.brokerId, leaderEpoch: 0, isr, elr: [], controllerEpoch: view.controllerEpoch };
  return { state, reason: 'initial' };
}

/**
 * The order of election, first found first:
 * 1. ISR members, alive as the incarnation that the ISR names, in replica order: they hold everything below the high watermark.
 * 2. ELR members, likewise: they left when the high watermark could not move any more, so they hold everything, too (KIP-966).
 * 3. A later incarnation of an ISR or ELR member: what was acknowledged is on its disk, provided that the data directory is the one on which the membership
 *    was fulfilled and the replica was not found damaged (R7). Only now, because an incarnation that never died also has what was not yet synced.
 * 4. When all of ISR and ELR are back and none of them is whole: the longest intact part, see `longestIntactPart`.
 * 5. With `unclean.leader.election.enable`, any live replica; acknowledged records may be lost.
 */
function electLeader(candidate: Candidate, state: PartitionState): Decision | undefined {
  const usable = (members: readonly Member[]): readonly Member[] =>
    inReplicaOrder(
      candidate,
      members.filter((member) => isUsable(candidate, member)),
    );
  const inSync = preferNotStopping(candidate, usable(state.isr));
  if (inSync !== undefined) {
    return elected(candidate, state, inSync, remainingIsr(candidate, state, inSync), 'elected');
  }
  const eligible = preferNotStopping(candidate, usable(state.elr));
  if (eligible !== undefined) return elected(candidate, state, eligible, [eligible], 'elected-eligible');
  const returned = preferNotStopping(candidate, returnedMembers(candidate, state));
  if (returned !== undefined) return elected(candidate, state, returned, [returned], 'elected-returned');
  const intact = longestIntactPart(candidate, state);
  if (intact !== undefined) return electedToRecover(candidate, state, intact, 'elected-intact-part');
  const unclean = candidate.unclean ? preferNotStopping(candidate, liveReplicas(candidate)) : undefined;
  if (unclean !== undefined) return uncleanLeader(candidate, state, unclean);
  return offline(candidate, state);
}

function returnedMembers(candidate: Candidate, state: PartitionState): readonly Member[] {
  const back = (members: readonly Member[]): readonly Member[] =>
    inReplicaOrder(candidate, members).flatMap((member) => {
      const now = backOnItsDisk(candidate, member);
      if (now === undefined || now.brokerEpoch === member.brokerEpoch || isDamaged(candidate, now.brokerId)) return [];
      return [now];
    });
  return [...back(state.isr), ...back(state.elr)];
}

/** The current incarnation of a member, on the data directory on which it was a member. */
function backOnItsDisk({ view: { image } }: Candidate, member: Member): Member | undefined {
  const now = memberOf(image, member.brokerId);
  const directory = image.directories.get(member.brokerId);
  if (now === undefined || now.brokerEpoch < member.brokerEpoch || directory === undefined) return undefined;
  const isSame = directory.directoryId === image.brokers.get(member.brokerId)?.directoryId;
  return isSame && directory.since <= member.brokerEpoch ? now : undefined;
}

/**
 * After a loss of power everywhere, the unsynced end of every log may have come back with a hole in it, and no replica is whole (row 57). Of those whose
 * damage lies beyond their recovery point, the one with the last (leader epoch, end offset) leads, cut to its intact part, once every member of ISR and ELR is back.
 *
 * Why nothing that was acknowledged is lost (R2, R8, C1):
 *   1. What was acknowledged was synced on every member (R2), and a loss of power takes nothing that was synced. So what it damages lies beyond everything
 *      acknowledged, and the intact part of every member that nothing else damaged holds all of it.
 *   2. The recovery point is written now and then: synced batches may lie beyond it, and one of them that went bad at rest looks like a hole. Whatever
 *      member this happened to, one that it did not happen to is among those compared: that is why all of them must be back.
 *   3. If A's intact part holds everything acknowledged and B's is not before it in (leader epoch, end offset), then B's holds it, too: with the same last
 *      epoch, A's is a prefix of B's (L5); with a later one, B's agrees with the log of the leader of that epoch, who had everything when it began (R1), and nothing was
 *      acknowledged in it, or A would have batches of it.
 * Damage below the recovery point took something that was synced: such a log proves nothing and is not elected.
 */
function longestIntactPart(candidate: Candidate, { isr, elr }: PartitionState): Recovering | undefined {
  const intact: Recovering[] = [];
  for (const member of inReplicaOrder(candidate, [...isr, ...elr])) {
    const now = backOnItsDisk(candidate, member);
    if (now === undefined) return undefined;
    const damage = damageOf(candidate, now.brokerId);
    if (damage?.beyondRecoveryPoint) intact.push({ member: now, damage });
  }
  const order = (a: Recovering, b: Recovering): number =>
    b.damage.leaderEpoch - a.damage.leaderEpoch || b.damage.endOffset - a.damage.endOffset;
  return intact.sort(order)[0];
}

/** A replica that leads after it has cut its log to the part that is intact. */
interface Recovering {
  readonly member: Member;
  readonly damage: DamagedReplica;
}

function liveReplicas(candidate: Candidate): readonly Member[] {
  const { image } = candidate.view;
  const { replicas, adding } = candidate;
  const settled = [...replicas.filter((id) => !adding.includes(id)), ...adding];
  const live = settled.flatMap((brokerId) => memberOf(image, brokerId) ?? []);
  const whole = live.filter((member) => !isDamaged(candidate, member.brokerId));
  return whole.length > 0 ? whole : live;
}

/** A broker that is shutting down leads only when nobody else can. */
function preferNotStopping(candidate: Candidate, members: readonly Member[]): Member | undefined {
  return members.find((member) => !candidate.view.stopping.has(member.brokerId)) ?? members[0];
}

/** Who of the ISR stays beside `leader`. */
function remainingIsr(candidate: Candidate, state: PartitionState, leader: Member): readonly Member[] {
  return state.isr.filter((member) => {
    if (member.brokerId === leader.brokerId) return true;
    return isUsable(candidate, member) && !candidate.view.stopping.has(member.brokerId);
  });
}

function elected(
  candidate: Candidate,
  before: PartitionState,
  leader: Member,
  isr: readonly Member[],
  reason: DecisionReason,
): Decision {
  const state: PartitionState = {
    leader: leader.brokerId,
    leaderEpoch: before.leaderEpoch + 1,
    isr,
    elr: elrBeside(candidate, before, isr),
    controllerEpoch: candidate.view.controllerEpoch,
  };
  return { state, reason };
}

/** A damaged replica is not complete, however it left the ISR. */
function elrBeside(candidate: Candidate, before: PartitionState, isr: readonly Member[]): readonly Member[] {
  return nextElr(before, isr, candidate.minIsr).filter((member) => !isDamaged(candidate, member.brokerId));
}

function electedToRecover(
  candidate: Candidate,
  before: PartitionState,
  { member, damage }: Recovering,
  reason: DecisionReason,
): Decision {
  const decision = elected(candidate, before, member, [member], reason);
  return { ...decision, state: { ...decision.state, elr: [], recoverTo: damage.endOffset } };
}

/** Nobody else is known to be complete any more: the others' logs will be cut to the new leader's. */
function uncleanLeader(candidate: Candidate, before: PartitionState, leader: Member): Decision {
  const damage = damageOf(candidate, leader.brokerId);
  if (damage !== undefined) return electedToRecover(candidate, before, { member: leader, damage }, 'elected-unclean');
  const decision = elected(candidate, before, leader, [leader], 'elected-unclean');
  return { ...decision, state: { ...decision.state, elr: [] } };
}

/**
 * The ISR stays as it was: nothing can be acknowledged without a leader, so all of its members remain complete. Only who has lost a synced part loses the
 * membership, for good: its damage proves that it is not complete (row 57). The last member stays in any case.
 */
function offline(candidate: Candidate, { recoverTo: _, ...before }: PartitionState): Decision | undefined {
  const complete = (member: Member): boolean => damageOf(candidate, member.brokerId)?.beyondRecoveryPoint ?? true;
  const remaining = before.isr.filter(complete);
  const isr = remaining.length > 0 ? remaining : before.isr;
  const elr = before.elr.filter(complete);
  const members = { isr, elr, controllerEpoch: candidate.view.controllerEpoch };
  if (before.leader !== noLeader) {
    const state = { ...before, ...members, leader: noLeader, leaderEpoch: before.leaderEpoch + 1 };
    return { state, reason: 'offline' };
  }
  if (sameMembers(isr, before.isr) && sameMembers(elr, before.elr)) return undefined;
  return { state: { ...before, ...members }, reason: 'shrunk' };
}

/** The leader is shutting down and somebody in sync can take over. */
function moveLeadership(candidate: Candidate, state: PartitionState): Decision | undefined {
  const others = inReplicaOrder(candidate, state.isr).filter((member) => {
    return !candidate.view.stopping.has(member.brokerId) && isUsable(candidate, member);
  });
  const next = others[0];
  return next === undefined ? undefined : elected(candidate, state, next, others, 'elected');
}

/**
 * The leader stays, and with it the leader epoch: until the leader learns of it, it counts a larger ISR than there is, which delays an
 * acknowledgement but cannot make a false one.
 */
function shrink(candidate: Candidate, before: PartitionState, leader: Member): Decision | undefined {
  const isr = remainingIsr(candidate, before, leader);
  const elr = elrBeside(candidate, before, isr);
  if (before.recoverTo !== undefined && !isDamaged(candidate, leader.brokerId)) return recovered(candidate, before);
  if (sameMembers(isr, before.isr) && sameMembers(elr, before.elr)) return undefined;
  return { state: { ...before, isr, elr, controllerEpoch: candidate.view.controllerEpoch }, reason: 'shrunk' };
}

/** From here on another damage of this log is another matter. */
function recovered({ view }: Candidate, { recoverTo: _, ...before }: PartitionState): Decision {
  return { state: { ...before, controllerEpoch: view.controllerEpoch }, reason: 'recovered' };
}

function inReplicaOrder(candidate: Candidate, members: readonly Member[]): readonly Member[] {
  const order = candidate.replicas;
  const rank = (member: Member): number =>
    order.includes(member.brokerId) ? order.indexOf(member.brokerId) : order.length;
  return [...members].sort((a, b) => rank(a) - rank(b));
}
