import type { GroupMetadataValue } from '../records/group-metadata-value.ts';
import type { ConsumerGroupRecord, GroupRecord } from '../records/group-record.ts';
import type { OffsetCommitValue } from '../records/offset-commit-value.ts';
import { ConsumerGroupState } from './consumer/consumer-group-state.ts';

export interface CommittedOffset {
  readonly topic: string;
  readonly partition: number;
  readonly value: OffsetCommitValue;
}

/** Of one group: topic, then partition. */
export type GroupOffsets = ReadonlyMap<string, ReadonlyMap<number, OffsetCommitValue>>;

const noOffsets: GroupOffsets = new Map();

/**
 * What the log of one partition of `__consumer_offsets` says up to some offset: nothing but `apply` changes it, on the way from the log when a broker
 * takes the partition over as behind its own writes when they are replicated (G8).
 */
export class CommittedState {
  readonly #groups = new Map<string, GroupMetadataValue>();
  readonly #consumerGroups = new Map<string, ConsumerGroupState>();
  readonly #offsets = new Map<string, Map<string, Map<number, OffsetCommitValue>>>();

  /** Classic groups. */
  get groups(): ReadonlyMap<string, GroupMetadataValue> {
    return this.#groups;
  }

  /** Groups with a server-side assignor. */
  get consumerGroups(): ReadonlyMap<string, ConsumerGroupState> {
    return this.#consumerGroups;
  }

  get groupIds(): readonly string[] {
    return [...this.#groups.keys(), ...this.#consumerGroups.keys()];
  }

  /** Of groups that have one. */
  get groupsWithOffsets(): Iterable<string> {
    return this.#offsets.keys();
  }

  has(group: string): boolean {
    return this.#groups.has(group) || this.#consumerGroups.has(group) || this.#offsets.has(group);
  }

  offset(group: string, topic: string, partition: number): OffsetCommitValue | undefined {
    return this.#offsets.get(group)?.get(topic)?.get(partition);
  }

  offsetsOf(group: string): GroupOffsets {
    return this.#offsets.get(group) ?? noOffsets;
  }

  *allOffsetsOf(group: string): Iterable<CommittedOffset> {
    for (const [topic, partitions] of this.offsetsOf(group)) {
      for (const [partition, value] of partitions) yield { topic, partition, value };
    }
  }

  /** Takes back what is said of a group besides its offsets. */
  tombstonesOf(group: string): readonly GroupRecord[] {
    if (this.#groups.has(group)) return [{ kind: 'group', group, value: null }];
    const records = this.#consumerGroups.get(group)?.records(group) ?? [];
    return records.map((record) => ({ ...record, value: null }));
  }

  apply(record: GroupRecord): void {
    switch (record.kind) {
      case 'group':
        if (record.value === null) this.#groups.delete(record.group);
        else this.#groups.set(record.group, record.value);
        return;
      case 'offset':
        if (record.value === null) this.#removeOffset(record.group, record.topic, record.partition);
        else this.#setOffset(record.group, record.topic, record.partition, record.value);
        return;
      default:
        this.#applyToConsumerGroup(record);
    }
  }

  #applyToConsumerGroup(record: ConsumerGroupRecord): void {
    const state = this.#consumerGroups.get(record.group) ?? new ConsumerGroupState();
    state.apply(record);
    if (state.isBlank) this.#consumerGroups.delete(record.group);
    else this.#consumerGroups.set(record.group, state);
  }

  #setOffset(group: string, topic: string, partition: number, value: OffsetCommitValue): void {
    const topics = this.#offsets.get(group) ?? new Map<string, Map<number, OffsetCommitValue>>();
    const partitions = topics.get(topic) ?? new Map<number, OffsetCommitValue>();
    this.#offsets.set(group, topics.set(topic, partitions.set(partition, value)));
  }

  #removeOffset(group: string, topic: string, partition: number): void {
    const topics = this.#offsets.get(group);
    const partitions = topics?.get(topic);
    partitions?.delete(partition);
    if (partitions?.size === 0) topics?.delete(topic);
    if (topics?.size === 0) this.#offsets.delete(group);
  }
}
