import { assert, type Random } from '@naru/runtime';
import {
  includesMember,
  type Member,
  noLeader,
  type PartitionState,
  sameMember,
} from '../../../cluster/partition-state.ts';
import type { IsrProposal } from '../in-sync-replicas.ts';
import type { LeaderTerm, ReplicationRules } from '../leader-state.ts';
import { type EpochEnd, reconcile, truncationPoint } from '../log-reconciliation.ts';
import { type Effect, PartitionStateMachine } from '../partition-state-machine.ts';

/**
 * One partition, its replicas, a coordinator and a controller in memory, driven one random event at a time; every invariant is checked after every event
 * (tests/invariants.ts). A log is a list of (epoch, value); a crash keeps what was flushed and a random part of the rest.
 */
export interface ModelOptions {
  readonly brokers: number;
  readonly rules: ReplicationRules;
}

interface Entry {
  readonly epoch: number;
  readonly value: number;
}

interface Fetch {
  readonly kind: 'fetch';
  readonly from: Member;
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly fetchOffset: number;
  readonly flushedOffset: number;
  readonly lastEpoch: number;
  readonly wantData: boolean;
}

interface Answer {
  readonly kind: 'answer';
  readonly to: Member;
  readonly leaderEpoch: number;
  readonly fetchOffset: number;
  readonly highWatermark: number;
  readonly diverging: EpochEnd | undefined;
  readonly entries: readonly Entry[];
}

interface Write {
  readonly leader: Member;
  readonly term: LeaderTerm;
  readonly proposal: IsrProposal;
}

interface Broker {
  readonly id: number;
  alive: boolean;
  epoch: number;
  log: Entry[];
  flushed: number;
  checkpointedHighWatermark: number;
  machine: PartitionStateMachine;
  /** States that the watch has still to tell. */
  news: {
    readonly state: PartitionState;
    readonly version: number;
    readonly registrations: ReadonlyMap<number, number>;
  }[];
  lastStateVersion: number;
}

export class ClusterModel {
  readonly #random: Random;
  readonly #options: ModelOptions;
  readonly #brokers: Broker[] = [];
  readonly #replicas: readonly number[];
  #state: PartitionState;
  #version = 0;
  #registrations = new Map<number, number>();
  #zxid = 0;
  #nowMs = 0;
  #nextValue = 1;
  /** Per ordered pair of brokers: a stream keeps its order. */
  #streams = new Map<string, (Fetch | Answer)[]>();
  #writes: Write[] = [];
  /** Everything at or below a high watermark that a leader showed. */
  #committed: Entry[] = [];
  #leaders = new Map<number, Member>();
  readonly counts = { elections: 0, isrChanges: 0, truncations: 0, committed: 0, crashes: 0, unknownOutcomes: 0 };

  constructor(random: Random, options: ModelOptions) {
    this.#random = random;
    this.#options = options;
    this.#replicas = Array.from({ length: options.brokers }, (_, i) => i + 1);
    for (const id of this.#replicas) {
      this.#zxid++;
      this.#registrations.set(id, this.#zxid);
    }
    const isr = this.#replicas.map((brokerId) => ({
      brokerId,
      brokerEpoch: this.#registrations.get(brokerId) as number,
    }));
    this.#state = { leader: 1, leaderEpoch: 0, isr, elr: [], controllerEpoch: 1 };
    for (const { brokerId, brokerEpoch } of isr) {
      this.#brokers.push({
        id: brokerId,
        alive: true,
        epoch: brokerEpoch,
        log: [],
        flushed: 0,
        checkpointedHighWatermark: 0,
        machine: this.#machine(0, 0, 0),
        news: [],
        lastStateVersion: -1,
      });
    }
    this.#publish();
  }

  /** One random event, then the invariants. */
  step(): void {
    this.#nowMs += this.#random.nextInt(20);
    const broker = this.#brokers[this.#random.nextInt(this.#brokers.length)] as Broker;
    const dice = this.#random.nextInt(1000);
    if (dice < 180) this.#append(broker);
    else if (dice < 330) this.#flush(broker);
    else if (dice < 520) this.#sendFetch(broker);
    else if (dice < 800) this.#deliver();
    else if (dice < 870) this.#hear(broker);
    else if (dice < 910) this.#control();
    else if (dice < 950) this.#answerWrite();
    else if (dice < 975) this.#run(broker, (machine) => machine.tick(this.#nowMs));
    else if (dice < 983) this.#cut();
    else if (dice < 990) this.#crash(broker);
    else this.#restart(broker);
    this.#check();
  }

  /** Everyone up, everything delivered: all replicas must come together (L7). */
  heal(): void {
    for (const broker of this.#brokers) if (!broker.alive) this.#restart(broker);
    for (let round = 0; round < 200; round++) {
      this.#nowMs += 10;
      this.#control();
      while (this.#writes.length > 0) this.#commitWrite(this.#writes.shift() as Write, true);
      for (const broker of this.#brokers) {
        while (broker.news.length > 0) this.#hear(broker);
        this.#flush(broker);
        this.#run(broker, (machine) => machine.tick(this.#nowMs));
        this.#sendFetch(broker);
      }
      while ([...this.#streams.values()].some((stream) => stream.length > 0)) this.#deliver();
      this.#check();
    }
    // Without flush.before.ack nobody may be left who is known to be complete: offline, and rightly so.
    if (!this.#options.rules.flushBeforeAck && this.#state.leader === noLeader) return;
    const [first, ...others] = this.#brokers as [Broker, ...Broker[]];
    for (const other of others) {
      assert(JSON.stringify(other.log) === JSON.stringify(first.log), 'L7: replicas are identical after healing');
    }
    assert(this.#state.isr.length === this.#brokers.length, `everyone is back in the ISR: ${this.describe()}`);
  }

  get counters(): typeof this.counts {
    return { ...this.counts, committed: this.#committed.length };
  }

  describe(): string {
    const brokers = this.#brokers.map((b) => ({
      id: b.id,
      epoch: b.epoch,
      role: b.machine.role,
      le: b.machine.leaderEpoch,
      hw: b.machine.highWatermark,
      leo: b.log.length,
      flushed: b.flushed,
      isr: b.machine.leader?.inSync.committed,
      maximal: b.machine.leader?.inSync.maximal,
    }));
    return JSON.stringify({ state: this.#state, version: this.#version, committed: this.#committed.length, brokers });
  }

  #machine(logEndOffset: number, flushedOffset: number, highWatermark: number): PartitionStateMachine {
    const restored = { logStartOffset: 0, logEndOffset, flushedOffset, highWatermark };
    return new PartitionStateMachine(restored, this.#options.rules, new Map());
  }

  #publish(): void {
    const news = { state: this.#state, version: this.#version, registrations: new Map(this.#registrations) };
    for (const broker of this.#brokers) if (broker.alive) broker.news.push(news);
  }

  #append(broker: Broker): void {
    if (!broker.alive || broker.machine.role !== 'leader') return;
    broker.log.push({ epoch: broker.machine.leaderEpoch, value: this.#nextValue++ });
    this.#run(broker, (machine) => machine.appended(broker.log.length));
  }

  #flush(broker: Broker): void {
    if (!broker.alive) return;
    broker.flushed = broker.log.length;
    this.#run(broker, (machine) => machine.flushed(broker.flushed));
  }

  #sendFetch(broker: Broker): void {
    const following = broker.machine.following;
    if (!broker.alive || following === undefined) return;
    this.#stream(broker.id, following.leader).push({
      kind: 'fetch',
      from: { brokerId: broker.id, brokerEpoch: broker.epoch },
      leader: following.leader,
      leaderEpoch: following.leaderEpoch,
      fetchOffset: broker.log.length,
      flushedOffset: broker.flushed,
      lastEpoch: broker.log.at(-1)?.epoch ?? -1,
      wantData: this.#random.nextInt(3) > 0,
    });
  }

  #stream(from: number, to: number): (Fetch | Answer)[] {
    const key = `${from}>${to}`;
    const stream = this.#streams.get(key) ?? [];
    this.#streams.set(key, stream);
    return stream;
  }

  #deliver(): void {
    const waiting = [...this.#streams.values()].filter((stream) => stream.length > 0);
    const message = waiting[this.#random.nextInt(Math.max(1, waiting.length))]?.shift();
    if (message?.kind === 'fetch') this.#serve(message);
    else if (message?.kind === 'answer') this.#receive(message);
  }

  /** A connection breaks: what was on it is lost. */
  #cut(): void {
    const streams = [...this.#streams.values()];
    const stream = streams[this.#random.nextInt(Math.max(1, streams.length))];
    if (stream !== undefined) stream.length = 0;
  }

  #serve(fetch: Fetch): void {
    const broker = this.#broker(fetch.leader);
    const leader = broker.machine.leader;
    if (!broker.alive || leader === undefined || broker.machine.leaderEpoch !== fetch.leaderEpoch) return;
    const result = reconcile(
      { fetchOffset: fetch.fetchOffset, lastFetchedEpoch: fetch.lastEpoch },
      { logStartOffset: 0, logEndOffset: broker.log.length, endOf: (epoch) => endOf(broker.log, epoch) },
    );
    const answer: Omit<Answer, 'diverging' | 'entries'> = {
      kind: 'answer',
      to: fetch.from,
      leaderEpoch: fetch.leaderEpoch,
      fetchOffset: fetch.fetchOffset,
      highWatermark: broker.machine.highWatermark,
    };
    const back = this.#stream(fetch.leader, fetch.from.brokerId);
    if (result.kind !== 'consistent') {
      const diverging = result.kind === 'diverging' ? result.end : { epoch: -1, endOffset: 0 };
      if (fetch.wantData) back.push({ ...answer, diverging, entries: [] });
      return;
    }
    const { brokerId, brokerEpoch } = fetch.from;
    const { fetchOffset, flushedOffset } = fetch;
    this.#run(broker, (machine) =>
      machine.followerFetched({ brokerId, brokerEpoch, fetchOffset, flushedOffset }, this.#nowMs),
    );
    if (fetch.wantData) back.push({ ...answer, diverging: undefined, entries: broker.log.slice(fetch.fetchOffset) });
  }

  #receive(answer: Answer): void {
    const broker = this.#broker(answer.to.brokerId);
    const following = broker.machine.following;
    if (!broker.alive || broker.epoch !== answer.to.brokerEpoch) return;
    if (following === undefined || following.leaderEpoch !== answer.leaderEpoch) return;
    if (answer.fetchOffset !== broker.log.length) return;
    if (answer.diverging !== undefined) {
      this.#truncate(broker, truncationPoint(answer.diverging, endOf(broker.log, answer.diverging.epoch), 0));
      return;
    }
    broker.log.push(...answer.entries);
    this.#run(broker, (machine) => machine.appended(broker.log.length));
    this.#run(broker, (machine) => machine.leaderAnswered(answer.highWatermark));
  }

  #truncate(broker: Broker, to: number): void {
    const self: Member = { brokerId: broker.id, brokerEpoch: broker.epoch };
    const inIsr = includesMember(this.#state.isr, self);
    assert(
      !inIsr || to >= this.#committed.length,
      'R8: a member of the ISR never truncates below the true high watermark',
    );
    if (to < broker.log.length) this.counts.truncations++;
    broker.log.length = Math.min(broker.log.length, to);
    broker.flushed = Math.min(broker.flushed, to);
    broker.machine.truncated({ logStartOffset: 0, logEndOffset: broker.log.length, flushedOffset: broker.flushed });
  }

  /** The watch tells the next state: the roles follow, as replica-manager has them follow. */
  #hear(broker: Broker): void {
    const news = broker.alive ? broker.news.shift() : undefined;
    if (news === undefined) return;
    const { state, version } = news;
    const self: Member = { brokerId: broker.id, brokerEpoch: broker.epoch };
    this.#run(broker, (machine) => machine.registrationsChanged(news.registrations, this.#nowMs));
    const machine = broker.machine;
    if (state.leaderEpoch < machine.leaderEpoch || version < broker.lastStateVersion) return;
    broker.lastStateVersion = version;
    if (state.leader === broker.id) {
      if (machine.role === 'leader' && state.leaderEpoch === machine.leaderEpoch) {
        this.#run(broker, () => machine.stateObserved(state, version, this.#nowMs));
      } else if (includesMember(state.isr, self) && state.leaderEpoch > machine.leaderEpoch) {
        this.#lead(broker, self, state, version);
      } else if (!includesMember(state.isr, self)) {
        machine.rest();
      }
    } else if (state.leader === noLeader) {
      machine.rest();
    } else if (machine.role !== 'follower' || state.leaderEpoch > machine.leaderEpoch) {
      machine.follow({ leader: state.leader, leaderEpoch: state.leaderEpoch });
    }
  }

  #lead(broker: Broker, self: Member, state: PartitionState, version: number): void {
    const led = this.#leaders.get(state.leaderEpoch);
    assert(led === undefined || sameMember(led, self), 'R5: one incarnation leads a leader epoch');
    this.#leaders.set(state.leaderEpoch, self);
    const term: LeaderTerm = { self, replicas: this.#replicas, state, version, epochStartOffset: broker.log.length };
    this.#run(broker, (machine) => machine.lead(term, this.#nowMs));
  }

  #run(broker: Broker, event: (machine: PartitionStateMachine) => readonly Effect[]): void {
    if (!broker.alive) return;
    const before = broker.machine.highWatermark;
    for (const effect of event(broker.machine)) {
      if (effect.kind === 'propose-isr') {
        const leader: Member = { brokerId: broker.id, brokerEpoch: broker.epoch };
        this.#writes.push({ leader, term: effect.term, proposal: effect.proposal });
      } else if (effect.kind === 'high-watermark-advanced' && broker.machine.role === 'leader') {
        this.#commit(broker, before, effect.highWatermark);
      }
    }
  }

  #commit(broker: Broker, before: number, highWatermark: number): void {
    assert(highWatermark > before, 'R4: a high watermark grows');
    for (let offset = 0; offset < highWatermark; offset++) {
      const entry = broker.log[offset] as Entry;
      const known = this.#committed[offset];
      assert(known === undefined || known.value === entry.value, `what was committed at ${offset} never changes`);
      if (known === undefined) this.#committed.push(entry);
    }
  }

  #answerWrite(): void {
    if (this.#writes.length === 0) return;
    const [write] = this.#writes.splice(this.#random.nextInt(this.#writes.length), 1) as [Write];
    this.#commitWrite(write, false);
  }

  /** The coordinator's multi; the answer may get lost, before or after it was applied (row 6). */
  #commitWrite(write: Write, reliable: boolean): void {
    const { leader, proposal } = write;
    const broker = this.#broker(leader.brokerId);
    const lost = !reliable && this.#random.nextInt(4) === 0;
    if (lost) {
      this.counts.unknownOutcomes++;
      this.#answer(broker, write, { kind: 'unknown' });
      // In flight: it may still be applied, at any later time.
      if (this.#random.nextInt(3) > 0) return;
    }
    const gone = proposal.added.find((member) => !this.#isLive(member));
    if (!this.#isLive(leader)) this.#answer(broker, write, { kind: 'not-registered' });
    else if (gone !== undefined) this.#answer(broker, write, { kind: 'refused', member: gone });
    else if (proposal.baseVersion !== this.#version) this.#answer(broker, write, { kind: 'conflict' });
    else this.#apply(broker, write);
  }

  #apply(broker: Broker, write: Write): void {
    const { proposal } = write;
    for (const member of proposal.added) this.#checkJoin(broker, member);
    this.#set({ ...this.#state, isr: proposal.isr, elr: proposal.elr });
    this.counts.isrChanges++;
    this.#answer(broker, write, { kind: 'committed', version: this.#version });
  }

  #answer(broker: Broker, write: Write, outcome: Parameters<PartitionStateMachine['proposalAnswered']>[2]): void {
    if (!broker.alive || broker.epoch !== write.leader.brokerEpoch) return;
    this.#run(broker, (machine) => machine.proposalAnswered(write.term, write.proposal, outcome, this.#nowMs));
  }

  #checkJoin(leader: Broker, member: Member): void {
    const joining = this.#broker(member.brokerId);
    if (!joining.alive || joining.epoch !== member.brokerEpoch) return;
    assert(
      replicatedBy(joining, this.#options.rules) >= this.#committed.length,
      `R6: ${leader.id} adds who has everything`,
    );
  }

  #set(state: PartitionState): void {
    this.#state = state;
    this.#version++;
    this.#zxid++;
    this.#publish();
  }

  #isLive = (member: Member): boolean => this.#registrations.get(member.brokerId) === member.brokerEpoch;

  /** Takes the dead out of the ISR and elects, in this order: ISR, ELR, then a later incarnation when nobody else is left. */
  #control(): void {
    const { isr, elr, leader } = this.#state;
    const liveIsr = isr.filter(this.#isLive);
    const leaderLives = liveIsr.some((m) => m.brokerId === leader);
    if (leaderLives && liveIsr.length === isr.length) return;
    const min = Math.min(this.#options.rules.minInSyncReplicas, this.#replicas.length);
    const liveElr = elr.filter(this.#isLive);
    const elected = leaderLives ? undefined : (liveIsr[0] ?? liveElr[0] ?? this.#lastResort([...isr, ...elr]));
    if (!leaderLives && elected === undefined) {
      if (leader !== noLeader)
        this.#set({ ...this.#state, leader: noLeader, leaderEpoch: this.#state.leaderEpoch + 1 });
      return;
    }
    const nextIsr = elected !== undefined && !includesMember(liveIsr, elected) ? [elected] : liveIsr;
    const nextElr =
      nextIsr.length >= min ? [] : [...elr, ...isr].filter((m) => !nextIsr.some((n) => n.brokerId === m.brokerId));
    this.counts.elections += elected === undefined ? 0 : 1;
    this.#set({
      ...this.#state,
      leader: elected?.brokerId ?? leader,
      leaderEpoch: elected === undefined ? this.#state.leaderEpoch : this.#state.leaderEpoch + 1,
      isr: nextIsr,
      elr: nextElr,
    });
  }

  #lastResort(members: readonly Member[]): Member | undefined {
    if (!this.#options.rules.flushBeforeAck || members.some(this.#isLive)) return undefined;
    const brokerId = members.map((m) => m.brokerId).find((id) => this.#registrations.has(id));
    return brokerId === undefined ? undefined : { brokerId, brokerEpoch: this.#registrations.get(brokerId) as number };
  }

  #crash(broker: Broker): void {
    if (!broker.alive) return;
    // Without flush.before.ack the promise holds as long as one complete incarnation lives.
    const others = this.#brokers.filter(
      (b) => b !== broker && this.#isLive({ brokerId: b.id, brokerEpoch: b.epoch }) && b.alive,
    );
    const safe = others.filter((b) => includesMember(this.#state.isr, { brokerId: b.id, brokerEpoch: b.epoch }));
    if (!this.#options.rules.flushBeforeAck && safe.length === 0) return;
    this.counts.crashes++;
    broker.alive = false;
    broker.checkpointedHighWatermark = this.#random.nextInt(broker.machine.highWatermark + 1);
    broker.log.length = broker.flushed + this.#random.nextInt(broker.log.length - broker.flushed + 1);
    broker.news = [];
    for (const [key, stream] of this.#streams) if (key.split('>').includes(String(broker.id))) stream.length = 0;
    // Its session expires at once, or it bounces before anyone notices (row 10).
    if (this.#random.nextInt(2) === 0) {
      this.#registrations.delete(broker.id);
      this.#publish();
    }
  }

  #restart(broker: Broker): void {
    if (broker.alive) return;
    this.#zxid++;
    broker.alive = true;
    broker.epoch = this.#zxid;
    broker.flushed = broker.log.length;
    broker.machine = this.#machine(broker.log.length, broker.flushed, broker.checkpointedHighWatermark);
    broker.lastStateVersion = -1;
    this.#registrations.set(broker.id, broker.epoch);
    this.#publish();
  }

  #broker(id: number): Broker {
    return this.#brokers[id - 1] as Broker;
  }

  #check(): void {
    const trueHighWatermark = this.#committed.length;
    for (const member of [...this.#state.isr, ...this.#state.elr]) {
      const broker = this.#broker(member.brokerId);
      if (!broker.alive || broker.epoch !== member.brokerEpoch) continue;
      for (let offset = Math.max(0, trueHighWatermark - 50); offset < trueHighWatermark; offset++) {
        assert(
          broker.log[offset]?.value === this.#committed[offset]?.value,
          `R1, R2: ${member.brokerId} in ISR or ELR lacks ${offset} of ${trueHighWatermark}`,
        );
      }
    }
    for (const broker of this.#brokers) {
      const leader = broker.alive ? broker.machine.leader : undefined;
      const current = leader !== undefined && broker.machine.leaderEpoch === this.#state.leaderEpoch;
      if (leader === undefined || !current || !this.#isLive({ brokerId: broker.id, brokerEpoch: broker.epoch }))
        continue;
      if (leader.isUnderMinInSync || leader.inSync.version > this.#version) continue;
      if (this.#writtenByLeader(leader.inSync.version)) {
        for (const member of this.#state.isr) {
          assert(includesMember(leader.inSync.maximal, member), 'R3: the maximal ISR covers the committed one');
        }
      }
    }
  }

  /** No write of the controller is between the leader's view and the truth: only those make R3's bound void (they only remove). */
  #writtenByLeader(version: number): boolean {
    return this.#version - version <= 1;
  }
}

function replicatedBy(broker: Broker, rules: ReplicationRules): number {
  return rules.flushBeforeAck ? broker.flushed : broker.log.length;
}

function endOf(log: readonly Entry[], epoch: number): EpochEnd | undefined {
  let end: EpochEnd | undefined;
  for (const [index, entry] of log.entries()) {
    if (entry.epoch <= epoch) end = { epoch: entry.epoch, endOffset: index + 1 };
  }
  return end;
}
