import { UsageError } from '../../command-line.ts';
import type { GroupProtocol } from '../swarm/parameters.ts';
import type { Weather } from '../swarm/schedule.ts';

/** A wrong rule: one line of the production code, replaced while it is loaded. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Stands in the file exactly once; leading space left out. */
  readonly line: string;
  readonly wrong: string;
  /** Row of the failure catalogue and the invariants that must catch it. */
  readonly guard: string;
  /** Brings it out: these seeds are tried first. */
  readonly weather?: Weather;
  /** The same: those whose group speaks this. */
  readonly protocol?: GroupProtocol;
  /** A seed that finds it, and how many it took to come upon one. Void when the drawing of parameters changes, or what a run does: then others are tried. */
  readonly known?: { readonly seed: number; readonly taken: number };
}

const leaderState = 'services/broker/src/replication/core/leader-state.ts';
const machine = 'services/broker/src/replication/core/partition-state-machine.ts';
const partition = 'services/broker/src/replication/partition.ts';
const reconciliation = 'services/broker/src/replication/core/log-reconciliation.ts';
const decision = 'services/broker/src/controller/partition-decision.ts';
const writer = 'services/broker/src/cluster/partition-state-writer.ts';
const registration = 'services/broker/src/cluster/registration.ts';

export const mutants: readonly Mutant[] = [
  {
    name: 'truncate-to-high-watermark',
    file: partition,
    line: 'const to = truncationPoint(answered, this.#endOf(answered.epoch, logEndOffset), logStartOffset);',
    wrong: 'const to = this.#machine.highWatermark;',
    guard: 'row 1 (KIP-101): R8, R1',
    known: { seed: 16, taken: 16 },
  },
  {
    name: 'compare-offsets-without-epochs',
    file: reconciliation,
    line: "if (end.epoch < follower.lastFetchedEpoch || end.endOffset < follower.fetchOffset) return { kind: 'diverging', end };",
    wrong: "if (follower.fetchOffset > leader.logEndOffset) return { kind: 'diverging', end };",
    guard: 'row 2 (KIP-101): L5, L7',
    known: { seed: 2, taken: 2 },
  },
  // A follower that keeps a batch of an epoch that its leader has not is told so with every fetch, by the epoch of its last batch, and is given
  // nothing until it has cut (KIP-595): it does no harm, and comes into no ISR again.
  {
    name: 'cut-to-the-answer-alone',
    file: reconciliation,
    line: 'return Math.min(answered.endOffset, ownEnd?.endOffset ?? ownLogStartOffset);',
    wrong: 'return answered.endOffset;',
    guard: 'row 3 (KIP-279): L7, by liveness',
    known: { seed: 32, taken: 32 },
  },
  {
    name: 'high-watermark-over-the-isr-alone',
    file: leaderState,
    line: 'for (const member of this.#inSync.maximal) {',
    wrong: 'for (const member of this.#inSync.committed) {',
    guard: 'row 6 (KIP-497): R4, R2',
    known: { seed: 1, taken: 1 },
  },
  {
    name: 'high-watermark-moves-beside-an-elr',
    file: leaderState,
    line: 'if (this.isUnderMinInSync || this.#inSync.eligible.length > 0) return undefined;',
    wrong: '',
    guard: 'rows 7, 8 (KIP-966): R10, R2',
    known: { seed: 5, taken: 5 },
  },
  {
    name: 'count-another-incarnation',
    file: leaderState,
    line: 'return progress?.brokerEpoch === member.brokerEpoch ? progress : undefined;',
    wrong: 'return progress;',
    guard: 'rows 9, 10 (KIP-903): R4',
    known: { seed: 4, taken: 4 },
  },
  {
    name: 'admit-below-the-epoch-start',
    file: leaderState,
    line: 'progress.replicatedOffset >= this.term.epochStartOffset',
    wrong: 'true',
    guard: 'row 11: R2',
    known: { seed: 40, taken: 40 },
  },
  {
    name: 'admit-below-the-high-watermark',
    file: leaderState,
    line: 'progress.replicatedOffset >= highWatermark &&',
    wrong: '',
    guard: 'row 11: R2',
    known: { seed: 2, taken: 2 },
  },
  {
    name: 'acknowledge-before-the-own-sync',
    file: leaderState,
    line: 'let replicated = this.#rules.flushBeforeAck ? log.flushedOffset : log.logEndOffset;',
    wrong: 'let replicated = log.logEndOffset;',
    guard: 'rows 8, 36: R2, R10',
    known: { seed: 1, taken: 1 },
  },
  {
    name: 'follower-reports-what-is-not-synced',
    file: 'services/broker/src/replication/replica-fetcher.ts',
    line: 'flushedOffset: Math.min(log.flushedOffset, log.logEndOffset),',
    wrong: 'flushedOffset: log.logEndOffset,',
    guard: 'rows 8, 37: R2, R10',
    known: { seed: 4, taken: 4 },
  },
  {
    name: 'keep-the-broker-epoch-across-a-restart',
    file: registration,
    line: 'if (existing?.stat.ephemeralOwner === session.id) return existing.stat.czxid;',
    wrong: 'if (existing !== undefined) return existing.stat.czxid;',
    guard: 'row 10 (KIP-380): R7',
    known: { seed: 3, taken: 3 },
  },
  {
    name: 'admit-without-a-look-at-the-registration',
    file: writer,
    line: '...[change.self, ...change.added].map(',
    wrong: '...[change.self].map(',
    guard: 'rows 9, 10 (KIP-903): R6',
    weather: 'overtaking',
    known: { seed: 25, taken: 1 },
  },
  {
    name: 'isr-change-without-the-version',
    file: writer,
    line: 'version: change.expectedVersion,',
    wrong: 'version: -1,',
    guard: 'rows 5, 24: R5, R9, Z13',
    weather: 'slow-quorum',
    known: { seed: 49, taken: 6 },
  },
  {
    name: 'isr-change-without-the-creation-of-the-topic',
    file: writer,
    line: "{ kind: 'check', path: paths.topic(change.topic), czxid: topicCzxid },",
    wrong: '',
    guard: 'row 18: R5',
    weather: 'overtaking',
    known: { seed: 25, taken: 1 },
  },
  {
    name: 'controller-writes-without-the-version',
    file: 'services/broker/src/controller/planner.ts',
    line: "if (before !== undefined) return [{ kind: 'set-data', path, data, version: expectedVersion }];",
    wrong: "if (before !== undefined) return [{ kind: 'set-data', path, data, version: -1 }];",
    guard: 'rows 23, 24: R2',
    weather: 'overtaking',
    known: { seed: 57, taken: 2 },
  },
  {
    name: 'elect-anybody-alive',
    file: decision,
    line: 'const unclean = candidate.unclean ? preferNotStopping(candidate, liveReplicas(candidate)) : undefined;',
    wrong: 'const unclean = preferNotStopping(candidate, liveReplicas(candidate));',
    guard: 'row 7: R1',
    known: { seed: 8, taken: 8 },
  },
  // Whoever is elected with a damaged log knows it, and neither leads nor follows: nothing is lost, and nothing goes on.
  {
    name: 'elect-a-damaged-replica',
    file: decision,
    line: 'return view.image.brokers.get(brokerId)?.damaged.get(replicaKey(topic.id, partition));',
    wrong: 'return view.image.brokers.get(brokerId)?.damaged.get(replicaKey(topic.id, -1));',
    guard: 'row 57: C11, by liveness',
    weather: 'damage',
    known: { seed: 62, taken: 7 },
  },
  {
    name: 'put-a-damaged-log-aside-while-an-isr-names-it',
    file: 'services/broker/src/replication/replica-manager.ts',
    line: 'return isLeaderAlive && recoverTo === undefined && !isNamed;',
    wrong: 'return isLeaderAlive && recoverTo === undefined;',
    guard: 'rows 57, 58: R1, R2',
    weather: 'alone',
    known: { seed: 121, taken: 5 },
  },
  {
    name: 'elect-any-damaged-prefix-before-all-are-back',
    file: decision,
    line: 'if (now === undefined) return undefined;',
    wrong: 'if (now === undefined) continue;',
    guard: 'row 57: R1, R2',
    weather: 'alone',
    known: { seed: 40, taken: 3 },
  },
  {
    name: 'ignore-the-recovery-point',
    file: 'services/broker/src/log/log-manager.ts',
    line: 'recoveryPoint: options.isNew ? 0 : home.recoveryPointOf(topic, partition),',
    wrong: 'recoveryPoint: 0,',
    guard: 'row 57: R1, R2',
    weather: 'damage',
    known: { seed: 422, taken: 76 },
  },
  {
    name: 'remove-the-old-replicas-before-the-new-ones-are-in-sync',
    file: 'services/broker/src/controller/reassignment.ts',
    line: 'const after = isShrinking ? decideWithin(view, topic, partition, assignment.replicas) : state;',
    wrong:
      'const isr = assignment.replicas.flatMap((brokerId) => { const now = view.image.brokers.get(brokerId); return now === undefined ? [] : [{ brokerId, brokerEpoch: now.epoch }]; }); const after = isr[0] === undefined ? undefined : { ...state, leader: isr[0].brokerId, leaderEpoch: state.leaderEpoch + 1, isr, elr: [] };',
    guard: 'row 13: R1, R2',
    known: { seed: 7, taken: 7 },
  },
  {
    name: 'cut-the-log-at-the-first-bad-batch-anywhere',
    file: 'services/broker/src/log/recovery.ts',
    line: 'if (this.#damage !== undefined) logEndOffset = this.#damage.offset;',
    wrong:
      'if (this.#damage !== undefined) { logEndOffset = this.#damage.offset; const i = this.#segments.findIndex((s) => s.nextOffset >= logEndOffset); await this.#removeFrom(i + 1); const s = this.#segments[i] as Segment; s.applyCut(await s.planCut(logEndOffset)); this.#damage = undefined; }',
    guard: 'row 57: R1, R2',
    weather: 'damage',
    known: { seed: 62, taken: 7 },
  },
  {
    name: 'cut-over-damage-without-a-word',
    file: 'services/broker/src/log/log-truncation.ts',
    line: "if (cut.bad !== undefined && health.state.kind !== 'damaged') {",
    wrong: 'if (cut.offset < -1 && cut.bad !== undefined) {',
    guard: 'row 57: R8',
    weather: 'damage',
    known: { seed: 544, taken: 92 },
  },
  {
    name: 'serve-consumers-up-to-the-log-end',
    file: partition,
    line: 'return this.log.readNow(offset, maxBytes, this.#machine.highWatermark);',
    wrong: 'return this.log.readNow(offset, maxBytes, this.#machine.logEndOffset);',
    guard: 'C9',
    known: { seed: 1, taken: 1 },
  },
  {
    name: 'tell-a-stale-latest-offset',
    file: machine,
    line: "return this.#role.kind === 'leader' && this.#highWatermark >= this.#role.state.term.epochStartOffset;",
    wrong: "return this.#role.kind === 'leader';",
    guard: 'row 15: C10',
    known: { seed: 106, taken: 7 },
  },
  {
    name: 'keep-waiting-acks-over-a-change-of-leader',
    file: partition,
    line: 'this.#acks.failAll(reason);',
    wrong: '',
    guard: 'row 50: C1, C2',
    known: { seed: 3, taken: 3 },
  },
  {
    name: 'append-again-what-a-producer-repeats',
    file: 'services/broker/src/log/producer-state.ts',
    line: "return baseOffsets === undefined ? isNew : { kind: 'duplicate', baseOffsets, endOffset, newFrom };",
    wrong: 'return isNew;',
    guard: 'row 39: C4',
    known: { seed: 1, taken: 1 },
  },
  {
    name: 'vote-without-a-look-at-the-log',
    file: 'packages/raft/src/election.ts',
    line: 'const granted = free && core.log.isUpToDate(lastIndex, lastTerm);',
    wrong: 'const granted = free;',
    guard: 'Raft §5.4.1: Z3, Z4',
    weather: 'quorum',
    known: { seed: 17, taken: 37 },
  },
  {
    name: 'forget-the-vote',
    file: 'services/coordinator/src/quorum/raft-storage.ts',
    line: 'const hardState = { term: state.term, vote: state.vote, commit: state.commit };',
    wrong: 'const hardState = { term: state.term, vote: 0, commit: state.commit };',
    guard: 'row 37: Z1',
    weather: 'duels',
    known: { seed: 41, taken: 2 },
  },
  {
    name: 'acknowledge-entries-before-the-sync',
    file: 'packages/raft/src/follower.ts',
    line: "core.sendAfterSync({ kind: 'append-response', from, to, term, index, ...noHint });",
    wrong: "core.send({ kind: 'append-response', from, to, term, index, ...noHint });",
    guard: 'rows 31, 37: Z4, Z6',
    weather: 'quorum',
    known: { seed: 174, taken: 18 },
  },
  {
    name: 'expire-a-session-outside-the-log',
    file: 'services/coordinator/src/listeners/session-director.ts',
    line: 'lease.expiring = true;',
    wrong: 'lease.expiring = true; this.#machine.tree.sessions.delete(id);',
    guard: 'row 27: Z7, Z11',
    weather: 'quorum',
    known: { seed: 30, taken: 7 },
  },
  {
    name: 'give-out-what-another-member-holds',
    file: 'services/broker/src/groups/core/consumer/consumer-group.ts',
    line: 'isFree: (partition) => [undefined, member.id, former?.id].includes(this.state.ownerOf(partition)),',
    wrong: 'isFree: () => true,',
    guard: 'row 52 (KIP-848): G1',
    protocol: 'consumer',
    known: { seed: 3, taken: 1 },
  },
  {
    name: 'take-a-partition-back-before-it-is-given-up',
    file: 'services/broker/src/groups/core/consumer/reconciliation.ts',
    line: 'if (revoked.size > 0 && (owned === undefined || !owned.isDisjointFrom(revoked))) {',
    wrong: 'if (revoked.size < 0) {',
    guard: 'row 52 (KIP-848): G1',
    protocol: 'consumer',
    known: { seed: 9, taken: 3 },
  },
  {
    name: 'accept-a-commit-of-an-old-member-epoch',
    file: 'services/broker/src/groups/core/consumer/consumer-group.ts',
    line: "if (metadata.classic === null) return 'STALE_MEMBER_EPOCH';",
    wrong: 'if (metadata.classic === null) return undefined;',
    guard: 'row 49 (KIP-848): G4',
    protocol: 'consumer',
    known: { seed: 76, taken: 13 },
  },
  {
    name: 'tell-a-member-epoch-that-is-not-replicated',
    file: 'services/broker/src/groups/coordinator/consumer-groups.ts',
    line: "return outcome === 'committed' ? { ok: true, ...decision.answer } : { ok: false, error: errorOf[outcome] };",
    wrong: 'return { ok: true, ...decision.answer };',
    guard: 'row 50 (KIP-848): G2',
    protocol: 'consumer',
    known: { seed: 4, taken: 2 },
  },
  {
    name: 'commit-again-for-a-partition-that-came-back',
    file: 'services/client/src/consumer/groups/offset-commits.ts',
    line: 'return holding !== undefined && holding === holdings[index];',
    wrong: 'return holding !== undefined;',
    guard: 'row 49 (KIP-848): G4',
    protocol: 'mixed',
    known: { seed: 8_019, taken: 32 },
  },
  {
    name: 'believe-a-damaged-raft-entry',
    file: 'services/coordinator/src/quorum/value-checksum.ts',
    line: 'return buffer.readUInt32BE(0) === crc32(content) ? content : undefined;',
    wrong: 'return content;',
    guard: 'rows 57, 63: Z4, Z7',
    known: { seed: 4, taken: 4 },
  },
  {
    name: 'keep-a-target-epoch-out-of-the-replicated-state',
    file: 'services/broker/src/groups/coordinator/write-queue.ts',
    line: 'for (const record of write.records) this.#options.apply(record);',
    wrong: "for (const record of write.records) if (record.kind !== 'target-epoch') this.#options.apply(record);",
    guard: 'row 50 (KIP-848): G8',
    protocol: 'consumer',
    known: { seed: 3, taken: 1 },
  },
];

/** Throws a UsageError. */
export function mutantNamed(name: string): Mutant {
  const mutant = mutants.find((one) => one.name === name);
  if (mutant === undefined)
    throw new UsageError(`no mutant is called '${name}'; npm run sim:mutants -- --list names them`);
  return mutant;
}
