import type { History, HistoryListener, Polled, Send } from '../swarm/history.ts';
import { require } from '../swarm/violation.ts';
import type { World } from '../swarm/world.ts';
import type { PartitionTruth, Truth } from './truth.ts';

/** A position that is not known yet. */
const anywhere = -1;

/** What clients were told of one partition. */
interface Told {
  readonly name: string;
  /** Which send's value stands at which offset, after all acks and polls (C2, C8). */
  readonly values: (Send | undefined)[];
  /** By consumer: the next offset (C7). */
  readonly positions: Map<string, number>;
  /** By client: the last answer to a question for the latest offset, with the time of the answer (C10). */
  readonly latest: Map<string, { readonly offset: number; readonly toldMs: number }>;
}

/** C1–C10 over what clients were told, as they are told it; C1, C5 and C6 once more over everything at the end. */
export class ClientChecker implements HistoryListener {
  readonly #world: World;
  readonly #history: History;
  readonly #truth: Truth;
  readonly #told = new Map<string, Told[]>();
  /** Where the records of idempotent producers are (C4). */
  readonly #places = new Map<Send, number>();

  constructor(world: World, history: History, truth: Truth) {
    this.#world = world;
    this.#history = history;
    this.#truth = truth;
    history.listen(this);
  }

  acked(send: Send): void {
    // A retry of something that the broker has seen too long ago to tell where it is (row 42): it must be found once.
    if (send.offset === -1 && this.#isIdempotent(send)) return;
    require(send.offset >= 0, 'C1', () => `${nameOf(send)} was acknowledged at ${send.offset}`);
    this.#sees(send, this.#of(send.topic, send.partition), send.offset, 'its ack');
    const committed = this.#truthOf(send.topic, send.partition).highWatermark;
    require(send.offset < committed, 'C1', () =>
      `${nameOf(send)} was acknowledged at ${send.offset}; committed is only ${committed}`);
  }

  polled({ consumer, topic, partition, offset, value, leaderEpoch }: Polled): void {
    const told = this.#of(topic, partition);
    const { name, positions } = told;
    const send = this.#history.senderOf(value);
    require(send !== undefined, 'C3', () => `${consumer} read at ${offset} of ${name} what nobody sent`);
    require(send.outcome !== 'refused', 'C3', () =>
      `${consumer} read ${nameOf(send)}, which was refused: ${send.error}`);
    require(send.topic === topic && send.partition === partition, 'C3', () =>
      `${consumer} read ${nameOf(send)} in ${name}`);
    this.#sees(send, told, offset, consumer);
    const truth = this.#truthOf(topic, partition);
    const committed = truth.highWatermark;
    require(offset < committed, 'C9', () => `${consumer} read ${offset} of ${name}; committed is only ${committed}`);
    const batch = truth.at(offset);
    require(batch?.leaderEpoch === leaderEpoch, 'C9', () =>
      `${consumer} read ${offset} of ${name} in epoch ${leaderEpoch}; committed is epoch ${batch?.leaderEpoch}`);
    const expected = positions.get(consumer) ?? 0;
    require(offset === expected || expected === anywhere, 'C7', () =>
      `${consumer} read ${offset} of ${name} after ${expected - 1}`);
    positions.set(consumer, offset + 1);
  }

  assigned(consumer: string, topic: string, partition: number): void {
    this.#of(topic, partition).positions.set(consumer, anywhere);
  }

  latestOffset(client: string, topic: string, partition: number, offset: number, invokedMs: number): void {
    const { latest } = this.#of(topic, partition);
    const before = latest.get(client);
    require(before === undefined || before.toldMs > invokedMs || offset >= before.offset, 'C10', () =>
      `${client} was told ${offset} as the latest offset of ${topic}-${partition} after ${before?.offset}`);
    const committed = this.#truthOf(topic, partition).highWatermark;
    require(offset <= committed, 'C10', () =>
      `${client} was told ${offset} of ${topic}-${partition}, committed is ${committed}`);
    if (before === undefined || offset > before.offset) {
      latest.set(client, { offset, toldMs: this.#world.sim.nowMs });
    }
  }

  /** How far a consumer has read. */
  positionOf(consumer: string, topic: string, partition: number): number {
    return this.#of(topic, partition).positions.get(consumer) ?? 0;
  }

  /** Once `reader` has read everything: C1, C5, C6. */
  atEnd(reader: string): void {
    const byPartition = new Map<string, Send[]>();
    for (const send of this.#history.all()) {
      if (send.outcome !== 'acked') continue;
      const name = `${send.topic}-${send.partition}`;
      if (send.offset < 0) {
        require(this.#places.has(send), 'C1', () => `${nameOf(send)} was acknowledged, and is nowhere`);
        continue;
      }
      // The reader passed over every offset below its position, and what it read there was compared with the ack (C2).
      require(send.offset < this.positionOf(reader, send.topic, send.partition), 'C1', () =>
        `${nameOf(send)} at ${send.offset} is lost: the log was read only up to ${this.positionOf(reader, send.topic, send.partition)}`);
      const sends = byPartition.get(name) ?? [];
      byPartition.set(name, sends);
      sends.push(send);
    }
    for (const sends of byPartition.values()) {
      checkProducerOrder(sends);
      checkRealTimeOrder(sends);
    }
  }

  #sees(send: Send, { name, values }: Told, offset: number, who: string): void {
    const known = values[offset];
    require(known === undefined || known === send, 'C2', () =>
      `${who}: ${nameOf(send)} at ${offset} of ${name}, where ${known && nameOf(known)} was seen`);
    values[offset] = send;
    // C4: without idempotence a retry may write a record once more.
    if (!this.#isIdempotent(send)) return;
    const place = this.#places.get(send);
    require(place === undefined || place === offset, 'C4', () =>
      `${who}: ${nameOf(send)} is at ${offset} of ${name} and at ${place}`);
    this.#places.set(send, offset);
  }

  #isIdempotent(send: Send): boolean {
    return this.#world.parameters.producers[send.producer - 1]?.isIdempotent ?? false;
  }

  #of(topic: string, partition: number): Told {
    let partitions = this.#told.get(topic);
    if (partitions === undefined) {
      partitions = [];
      this.#told.set(topic, partitions);
    }
    partitions[partition] ??= { name: `${topic}-${partition}`, values: [], positions: new Map(), latest: new Map() };
    return partitions[partition];
  }

  #truthOf(topic: string, partition: number): PartitionTruth {
    return this.#truth.of(this.#world.control.topicIdOf(topic) ?? '', partition, topic);
  }
}

/** C5: sends of one producer to one partition that were acknowledged lie in the order in which they were sent. */
function checkProducerOrder(sends: readonly Send[]): void {
  const last = new Map<number, Send>();
  for (const send of [...sends].sort((a, b) => a.producer - b.producer || a.number - b.number)) {
    const before = last.get(send.producer);
    require(before === undefined || before.offset < send.offset, 'C5', () =>
      `${nameOf(send)} at ${send.offset}, sent after ${before && nameOf(before)} at ${before?.offset}`);
    last.set(send.producer, send);
  }
}

/** C6: what was acknowledged before another was sent lies before it. */
function checkRealTimeOrder(sends: readonly Send[]): void {
  const byAck = [...sends].sort((a, b) => a.toldMs - b.toldMs);
  let told = 0;
  let largest: Send | undefined;
  for (const send of [...sends].sort((a, b) => a.invokedMs - b.invokedMs)) {
    for (let next = byAck[told]; next !== undefined && next.toldMs < send.invokedMs; next = byAck[++told]) {
      if (largest === undefined || next.offset > largest.offset) largest = next;
    }
    const before = largest;
    require(before === undefined || before.offset < send.offset, 'C6', () =>
      `${nameOf(send)} at ${send.offset}, sent after the ack of ${before && nameOf(before)} at ${before?.offset}`);
  }
}

function nameOf(send: Send): string {
  return `p${send.producer}/${send.number} to ${send.topic}-${send.partition}`;
}
