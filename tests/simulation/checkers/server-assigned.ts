import type { ConsumerGroupRecord } from '../../../services/broker/src/groups/records/group-record.ts';
import { require } from '../swarm/violation.ts';

interface KnownMember {
  readonly epoch: number;
  /** By `TOPIC_ID/PARTITION`: what was assigned to it, and what it has not given up yet. */
  readonly held: ReadonlySet<string>;
}

type TopicPartitions = readonly { readonly topicId: string; readonly partitions: readonly number[] }[];

/** A group with a server-side assignor (KIP-848), as the committed part of `__consumer_offsets` tells it, without the coordinator's own state. */
export class ServerAssigned {
  readonly #group: string;
  readonly #members = new Map<string, KnownMember>();
  /** Held by a member that did not hold it before the batch. */
  readonly #taken = new Set<string>();
  epoch = 0;

  constructor(group: string) {
    this.#group = group;
  }

  holds(member: string, partition: string): boolean {
    return this.#members.get(member)?.held.has(partition) ?? false;
  }

  epochOf(member: string): number | undefined {
    return this.#members.get(member)?.epoch;
  }

  get memberEpochs(): Iterable<readonly [member: string, epoch: number]> {
    return [...this.#members].map(([id, { epoch }]) => [id, epoch] as const);
  }

  apply(record: ConsumerGroupRecord): void {
    switch (record.kind) {
      case 'consumer-group':
        this.#grow(record.value?.epoch ?? 0);
        return;
      case 'consumer-member':
        if (record.value === null) this.#members.delete(record.member);
        return;
      case 'current-assignment': {
        const { member, value } = record;
        if (value === null) this.#members.delete(member);
        else {
          const { memberEpoch, assignedPartitions, partitionsPendingRevocation } = value;
          this.#moved(member, memberEpoch, keysOf([...assignedPartitions, ...partitionsPendingRevocation]));
        }
      }
    }
  }

  #grow(epoch: number): void {
    require(epoch >= this.epoch, 'G2', () => `${this.#group}: epoch ${epoch} after ${this.epoch}`);
    this.epoch = epoch;
  }

  #moved(id: string, epoch: number, held: ReadonlySet<string>): void {
    const before = this.#members.get(id);
    // Below zero: a static member is away for a while.
    require(epoch <= 0 || epoch >= (before?.epoch ?? 0), 'G2', () =>
      `${this.#group}: ${id} has epoch ${epoch} after ${before?.epoch}`);
    for (const partition of held) if (!before?.held.has(partition)) this.#taken.add(partition);
    this.#members.set(id, { epoch, held });
  }

  /** What must hold after each batch. Returns the partitions that have come to another member in it. */
  settle(): ReadonlySet<string> {
    const owners = new Map<string, string>();
    for (const [id, { epoch, held }] of this.#members) {
      require(epoch <= this.epoch, 'G2', () => `${this.#group}: ${id} has epoch ${epoch}, the group ${this.epoch}`);
      for (const partition of held) {
        const other = owners.get(partition);
        require(other === undefined, 'G1', () => `${this.#group}: ${id} is given ${partition}, which ${other} holds`);
        owners.set(partition, id);
      }
    }
    const taken = new Set(this.#taken);
    this.#taken.clear();
    return taken;
  }
}

function keysOf(topics: TopicPartitions): ReadonlySet<string> {
  return new Set(topics.flatMap(({ topicId, partitions }) => partitions.map((index) => `${topicId}/${index}`)));
}
