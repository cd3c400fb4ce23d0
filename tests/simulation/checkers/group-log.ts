import { decodeAssignment } from '@naru/kafka-protocol';
import { decodeRecords } from '@naru/record';
import type { GroupMetadataValue } from '../../../services/broker/src/groups/records/group-metadata-value.ts';
import { decodeRecord, type GroupRecord } from '../../../services/broker/src/groups/records/group-record.ts';
import { require } from '../swarm/violation.ts';
import type { World } from '../swarm/world.ts';
import type { Progress } from './group-progress.ts';
import { ServerAssigned } from './server-assigned.ts';
import type { Truth } from './truth.ts';

/** A group as the committed part of `__consumer_offsets` tells it. */
interface KnownGroup {
  /** Of a classic group; of one with a server-side assignor its epoch. */
  generation: number;
  /** Undefined: a classic group. */
  server: ServerAssigned | undefined;
  /** Of a classic group: its members. */
  members: ReadonlySet<string>;
  /** Of a classic group, by partition: who owns it in this generation. */
  owners: ReadonlyMap<string, string>;
  /** By partition: the next record to read. */
  readonly offsets: Map<string, number>;
  /** The same when the partition came to its owner, in a classic group when the generation began: no owner has reason to go below. */
  readonly floor: Map<string, number>;
  /** By partition: all that were ever committed. */
  readonly history: Map<string, Set<number>>;
  /** By member: the generations, or epochs, that it had. */
  readonly had: Map<string, Set<number>>;
}

type OffsetRecord = Extract<GroupRecord, { kind: 'offset' }>;

/** A member's commits carry this as their metadata, so that the log tells whose they are; runs of the classic protocol alone have none. */
export function commitStamp(memberId: string, generation: number): string {
  return `${memberId}@${generation}`;
}

/**
 * G1–G6 over what becomes committed in `__consumer_offsets`, read from the disk of whoever commits it, in the order of the log, and over what members
 * are told. Within a generation, or as long as a member keeps a partition, a commit that was delayed may come after a younger one of the same
 * member, as in Kafka.
 */
export class GroupLogChecker {
  readonly #world: World;
  readonly #truth: Truth;
  readonly #progress: Progress;
  readonly #groups = new Map<string, KnownGroup>();
  /** `epochs`: generations of groups with a server-side assignor; `protocolChanges`: groups with members that became the other kind. */
  readonly counts = { generations: 0, epochs: 0, protocolChanges: 0, commits: 0 };

  constructor(world: World, truth: Truth, progress: Progress) {
    this.#world = world;
    this.#truth = truth;
    this.#progress = progress;
    truth.watch('__consumer_offsets', ({ bytes }) => {
      const records = [...decodeRecords(bytes)].flatMap(({ key, value }) => {
        return (key === null ? undefined : decodeRecord(key, value)) ?? [];
      });
      for (const [group, ofGroup] of Map.groupBy(records, (record) => record.group)) this.#apply(group, ofGroup);
    });
  }

  /** A member was told that its commit is done (G3). */
  acked(group: string, topic: string, partition: number, offset: number): void {
    const name = `${topic}-${partition}`;
    require(this.#groups.get(group)?.history.get(name)?.has(offset) ?? false, 'G3', () =>
      `${group}: told that ${offset} of ${name} is committed; the log does not say so`);
  }

  /** A member was told that it is in this generation; -1: it is in none (G2). */
  isIn(host: string, group: string, member: string, generation: number): void {
    if (generation < 0) return;
    const known = this.#groups.get(group)?.had.get(member);
    require(known?.has(generation) ?? false, 'G2', () =>
      `${host} is in generation ${generation} of ${group} as ${member}, committed are ${[...(known ?? [])]}`);
  }

  /** What the group has committed for a partition; 0 when nothing. */
  offsetOf(group: string, topic: string, partition: number): number {
    return this.#groups.get(group)?.offsets.get(`${topic}-${partition}`) ?? 0;
  }

  #of(group: string): KnownGroup {
    const known = this.#groups.get(group) ?? {
      generation: 0,
      server: undefined,
      members: new Set(),
      owners: new Map(),
      offsets: new Map(),
      floor: new Map(),
      history: new Map(),
      had: new Map(),
    };
    this.#groups.set(group, known);
    return known;
  }

  /** What one batch says of a group: it becomes another kind within one, or not at all. */
  #apply(group: string, records: readonly GroupRecord[]): void {
    const known = this.#of(group);
    const isSaid = (kind: GroupRecord['kind']): boolean =>
      records.some((record) => record.kind === kind && record.value !== null);
    const isUpgrade = known.server === undefined && isSaid('consumer-group');
    const isDowngrade = known.server !== undefined && isSaid('group');
    const isForgotten = records.some(({ kind, value }) => {
      if (value !== null) return false;
      return kind === 'offset' || (kind === 'group' && !isUpgrade);
    });
    require(!isForgotten, 'G3', () => `${group}: forgotten, although nothing expires here`);
    if (isDowngrade) this.counts.protocolChanges++;
    if (isDowngrade || records.some(({ kind, value }) => kind === 'consumer-group' && value === null)) {
      this.#endServer(group, known, isDowngrade);
    }
    if (isUpgrade) known.server = new ServerAssigned(group);
    for (const record of records) {
      if (record.kind === 'offset') this.#committed(group, known, record);
      else if (record.kind !== 'group') known.server?.apply(record);
      else if (record.value !== null) this.#changed(group, known, record.value);
    }
    if (known.server !== undefined) this.#assigned(group, known, known.server, isUpgrade);
  }

  /** Its members go on as a classic group; without members another group begins, which shares no generation with anybody of before. */
  #endServer(group: string, known: KnownGroup, isDowngrade: boolean): void {
    require(isDowngrade || known.members.size === 0, 'G3', () => `${group}: forgotten with its members`);
    known.server = undefined;
    known.owners = new Map();
    if (!isDowngrade) known.generation = 0;
  }

  #changed(group: string, known: KnownGroup, value: GroupMetadataValue): void {
    require(value.generation >= known.generation, 'G2', () =>
      `${group}: generation ${value.generation} after ${known.generation}`);
    known.members = new Set(value.members.map(({ memberId }) => memberId));
    for (const member of known.members) this.#has(known, member, value.generation);
    if (value.generation > known.generation) {
      this.counts.generations++;
      known.generation = value.generation;
      for (const [name, offset] of known.offsets) known.floor.set(name, offset);
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

  /** After a batch about a group with a server-side assignor. */
  #assigned(group: string, known: KnownGroup, server: ServerAssigned, isUpgrade: boolean): void {
    const taken = server.settle();
    const members = [...server.memberEpochs];
    for (const [member, epoch] of members) this.#has(known, member, epoch);
    if (isUpgrade) {
      const isTakenOver = members.some(([member]) => known.members.has(member));
      if (isTakenOver) this.counts.protocolChanges++;
      // Who begins alone shares no generation with anybody of before; who is taken over goes on in the generation that it has.
      require(!isTakenOver || server.epoch >= known.generation, 'G2', () =>
        `${group}: epoch ${server.epoch} after generation ${known.generation}`);
    } else {
      for (const partition of taken)
        known.floor.set(this.#nameOf(partition), known.offsets.get(this.#nameOf(partition)) ?? 0);
    }
    if (server.epoch !== known.generation) this.counts.epochs++;
    known.generation = server.epoch;
    known.members = new Set(members.map(([member]) => member));
  }

  #has(known: KnownGroup, member: string, generation: number): void {
    known.had.set(member, (known.had.get(member) ?? new Set()).add(generation));
  }

  /** `TOPIC-PARTITION` for `TOPIC_ID/PARTITION`. */
  #nameOf(partition: string): string {
    const at = partition.lastIndexOf('/');
    const { control, parameters } = this.#world;
    const topic = parameters.topics.find(({ name }) => control.topicIdOf(name) === partition.slice(0, at));
    return `${topic?.name}-${partition.slice(at + 1)}`;
  }

  #committed(group: string, known: KnownGroup, { topic, partition, value }: OffsetRecord): void {
    const offset = value?.offset ?? -1;
    const name = `${topic}-${partition}`;
    this.counts.commits++;
    this.#checkCommitter(group, known, { topic, partition }, value?.metadata ?? '');
    const floor = known.floor.get(name) ?? 0;
    require(offset >= floor, 'G4', () =>
      `${group}: ${offset} is committed for ${name} in generation ${known.generation}; whoever has it began with ${floor}`);
    const end = this.#truth.of(this.#world.control.topicIdOf(topic) ?? '', partition, topic).highWatermark;
    require(offset <= end, 'G5', () => `${group}: ${offset} is committed for ${name}, whose high watermark is ${end}`);
    const processed = this.#progress.upTo(group, topic, partition);
    require(offset <= processed, 'G6', () =>
      `${group}: ${offset} is committed for ${name}, processed is everything below ${processed}`);
    known.offsets.set(name, offset);
    known.history.set(name, (known.history.get(name) ?? new Set()).add(offset));
  }

  /**
   * G4: of the generation or epoch that is, or of the member that holds the partition. A member that gives partitions up one after the other stays in its epoch meanwhile, and what it has
   * asked to commit may arrive when the first of them is somebody else's: coordinators look at the epoch alone, Kafka's, too.
   */
  #checkCommitter(
    group: string,
    { server, members, generation }: KnownGroup,
    { topic, partition }: { readonly topic: string; readonly partition: number },
    stamp: string,
  ): void {
    if (stamp === '') return;
    const at = stamp.lastIndexOf('@');
    const [member, asked] = [stamp.slice(0, at), Number(stamp.slice(at + 1))];
    const mayCommit =
      server === undefined
        ? members.has(member) && asked === generation
        : server.epochOf(member) === asked ||
          server.holds(member, `${this.#world.control.topicIdOf(topic)}/${partition}`);
    require(mayCommit, 'G4', () =>
      `${group}: ${stamp} commits ${topic}-${partition} in generation ${generation}, in which it is not its to commit`);
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
