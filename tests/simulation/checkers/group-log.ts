import { decodeAssignment } from '@naru/kafka-protocol';
import { decodeRecords } from '@naru/record';
import type { GroupMetadataValue } from '../../../services/broker/src/groups/records/group-metadata-value.ts';
import { decodeRecord, type GroupRecord } from '../../../services/broker/src/groups/records/group-record.ts';
import { require } from '../swarm/violation.ts';
import type { World } from '../swarm/world.ts';
import type { Progress } from './group-progress.ts';
import type { Truth } from './truth.ts';

/** A group as the committed part of `__consumer_offsets` tells it. */
interface KnownGroup {
  generation: number;
  /** By partition: who owns it in this generation. */
  owners: ReadonlyMap<string, string>;
  /** By partition: the next record to read. */
  readonly offsets: Map<string, number>;
  /** The same when the generation began: no member of it has reason to go below. */
  floor: ReadonlyMap<string, number>;
  /** By partition: all that were ever committed. */
  readonly history: Map<string, Set<number>>;
}

/**
 * G1–G6 over what becomes committed in `__consumer_offsets`, read from the disk of whoever commits it, in the order of the log, and over what members
 * are told. Within a generation a commit that was delayed may come after a younger one of the same member, as in Kafka.
 */
export class GroupLogChecker {
  readonly #world: World;
  readonly #truth: Truth;
  readonly #progress: Progress;
  readonly #groups = new Map<string, KnownGroup>();
  readonly counts = { generations: 0, commits: 0 };

  constructor(world: World, truth: Truth, progress: Progress) {
    this.#world = world;
    this.#truth = truth;
    this.#progress = progress;
    truth.watch('__consumer_offsets', ({ bytes }) => {
      for (const { key, value } of decodeRecords(bytes)) {
        const record = key === null ? undefined : decodeRecord(key, value);
        if (record !== undefined) this.#apply(record);
      }
    });
  }

  /** A member was told that its commit is done (G3). */
  acked(group: string, topic: string, partition: number, offset: number): void {
    const name = `${topic}-${partition}`;
    require(this.#groups.get(group)?.history.get(name)?.has(offset) ?? false, 'G3', () =>
      `${group}: told that ${offset} of ${name} is committed; the log does not say so`);
  }

  /** A member is in this generation (G2). */
  isIn(member: string, group: string, generation: number): void {
    const known = this.#groups.get(group)?.generation ?? -1;
    require(generation <= known, 'G2', () => `${member} is in generation ${generation}, committed is ${known}`);
  }

  /** What the group has committed for a partition; 0 when nothing. */
  offsetOf(group: string, topic: string, partition: number): number {
    return this.#groups.get(group)?.offsets.get(`${topic}-${partition}`) ?? 0;
  }

  #of(group: string): KnownGroup {
    let known = this.#groups.get(group);
    if (known === undefined) {
      known = { generation: 0, owners: new Map(), offsets: new Map(), floor: new Map(), history: new Map() };
      this.#groups.set(group, known);
    }
    return known;
  }

  #apply(record: GroupRecord): void {
    if (record.kind !== 'group' && record.kind !== 'offset') return;
    const { group, kind, value } = record;
    require(value !== null, 'G3', () => `${group}: forgotten (${kind}), although nothing expires here`);
    const known = this.#of(group);
    if (kind === 'group') this.#changed(group, known, value as GroupMetadataValue);
    else this.#committed(known, record as Extract<GroupRecord, { kind: 'offset' }>);
  }

  #changed(group: string, known: KnownGroup, value: GroupMetadataValue): void {
    require(value.generation >= known.generation, 'G2', () =>
      `${group}: generation ${value.generation} after ${known.generation}`);
    if (value.generation > known.generation) {
      this.counts.generations++;
      known.generation = value.generation;
      known.floor = new Map(known.offsets);
      known.owners = new Map();
    }
    // Reserved only: nobody has an assignment yet.
    if (value.leader === null) return;
    const owners = ownersIn(group, value);
    for (const [partition, owner] of owners) {
      const before = known.owners.get(partition);
      require(before === undefined || before === owner, 'G1', () =>
        `${group}: generation ${value.generation} gives ${partition} to ${before}, then to ${owner}`);
    }
    known.owners = owners;
  }

  #committed(known: KnownGroup, record: Extract<GroupRecord, { kind: 'offset' }>): void {
    const { group, topic, partition } = record;
    const offset = record.value?.offset ?? -1;
    const name = `${topic}-${partition}`;
    this.counts.commits++;
    const floor = known.floor.get(name) ?? 0;
    require(offset >= floor, 'G4', () =>
      `${group}: ${offset} is committed for ${name} in generation ${known.generation}, which began with ${floor}`);
    const end = this.#truth.of(this.#world.control.topicIdOf(topic) ?? '', partition, topic).highWatermark;
    require(offset <= end, 'G5', () => `${group}: ${offset} is committed for ${name}, whose high watermark is ${end}`);
    const processed = this.#progress.upTo(group, topic, partition);
    require(offset <= processed, 'G6', () =>
      `${group}: ${offset} is committed for ${name}, processed is everything below ${processed}`);
    known.offsets.set(name, offset);
    known.history.set(name, (known.history.get(name) ?? new Set()).add(offset));
  }
}

/** G1: no partition is given to two members of a generation. A static member may come back under another id. */
function ownersIn(group: string, { generation, members }: GroupMetadataValue): Map<string, string> {
  const owners = new Map<string, string>();
  for (const { memberId, instanceId, assignment } of members) {
    for (const { topic, partition } of decodeAssignment(assignment).partitions) {
      const name = `${topic}-${partition}`;
      require(!owners.has(name), 'G1', () =>
        `${group}: generation ${generation} gives ${name} to ${owners.get(name)} and to ${memberId}`);
      owners.set(name, instanceId ?? memberId);
    }
  }
  return owners;
}
