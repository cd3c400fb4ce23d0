import { samePartition } from './metadata-delta.ts';
import {
  type ConfigOverrides,
  noConfig,
  type PartitionImage,
  type PartitionStateEntry,
  type TopicImage,
  type UnplacedTopic,
} from './metadata-image.ts';
import type { TopicAssignment } from './znode-codecs.ts';

/** What a topic's znode says, and which znode it is. */
export type StoredAssignment = TopicAssignment & Pick<TopicImage, 'version' | 'czxid'>;

/** A topic while it is being changed: what was there before, and what is said about it now. */
export interface TopicDraft {
  readonly base: TopicImage | undefined;
  readonly unplaced: UnplacedTopic | undefined;
  /** `kept`: as in `base`. Undefined: there is no readable topic znode. */
  assignment: 'kept' | StoredAssignment | undefined;
  config: ConfigOverrides;
  configVersion: number;
  deletionMark: string | undefined;
  /** Undefined: removed. */
  readonly states: Map<number, PartitionStateEntry | undefined>;
}

export function newDraft(base: TopicImage | undefined, unplaced: UnplacedTopic | undefined): TopicDraft {
  const { config, configVersion, deletionMark } = base ?? unplaced ?? noTopic;
  const assignment = base === undefined ? undefined : 'kept';
  return { base, unplaced, assignment, config, configVersion, deletionMark, states: new Map() };
}

const noTopic = { config: noConfig, configVersion: -1, deletionMark: undefined };

export function stateEntry(topic: TopicImage | undefined, partition: number): PartitionStateEntry | undefined {
  const image = topic?.partitions[partition];
  if (image?.state === undefined) return undefined;
  return { state: image.state, version: image.stateVersion, zxid: image.stateZxid };
}

/** The state of a partition after the draft's changes. */
function draftState({ base, unplaced, states }: TopicDraft, partition: number): PartitionStateEntry | undefined {
  if (states.has(partition)) return states.get(partition);
  return stateEntry(base, partition) ?? unplaced?.states.get(partition);
}

/** The assignment as it stands in the topic's znode. */
export function assignmentOf(topic: TopicImage): StoredAssignment {
  const adding = new Map<number, readonly number[]>();
  const removing = new Map<number, readonly number[]>();
  for (const [partition, image] of topic.partitions.entries()) {
    if (image.adding.length > 0) adding.set(partition, image.adding);
    if (image.removing.length > 0) removing.set(partition, image.removing);
  }
  const replicas = topic.partitions.map((partition) => partition.replicas);
  return { topicId: topic.id, version: topic.version, czxid: topic.czxid, replicas, adding, removing };
}

/** What has no topic to belong to: everything without a readable topic znode, states of partitions that the one we know does not name. */
export function unplacedOf(draft: TopicDraft, topic: TopicImage | undefined): UnplacedTopic | undefined {
  const count = topic?.partitions.length ?? 0;
  const partitions = new Set([...draft.states.keys(), ...(draft.unplaced?.states.keys() ?? [])]);
  if (topic === undefined) for (const partition of draft.base?.partitions.keys() ?? []) partitions.add(partition);
  const states = new Map<number, PartitionStateEntry>();
  for (const partition of partitions) {
    const entry = partition < count ? undefined : draftState(draft, partition);
    if (entry !== undefined) states.set(partition, entry);
  }
  const { config, configVersion, deletionMark } = draft;
  if (states.size > 0) return { config, configVersion, deletionMark, states };
  if (topic !== undefined || (configVersion === -1 && deletionMark === undefined)) return undefined;
  return { config, configVersion, deletionMark, states };
}

const none: readonly number[] = [];

/** The topic after the draft's changes, undefined without a readable topic znode. `previous` lends its objects where nothing changed. */
export function topicOf(name: string, draft: TopicDraft, previous: TopicImage | undefined): TopicImage | undefined {
  const { base, assignment, config, configVersion, deletionMark } = draft;
  if (assignment === undefined) return undefined;
  if (assignment === 'kept') {
    if (base === undefined) return undefined;
    const partitions = draft.states.size === 0 ? base.partitions : changedStates(base.partitions, draft.states);
    return { ...base, config, configVersion, deletionMark, markedForDeletion: deletionMark === base.id, partitions };
  }
  return {
    name,
    id: assignment.topicId,
    version: assignment.version,
    czxid: assignment.czxid,
    config,
    configVersion,
    deletionMark,
    markedForDeletion: deletionMark === assignment.topicId,
    partitions: assignedPartitions(draft, assignment, previous?.id === assignment.topicId ? previous : undefined),
  };
}

function changedStates(
  partitions: readonly PartitionImage[],
  states: ReadonlyMap<number, PartitionStateEntry | undefined>,
): readonly PartitionImage[] {
  const changed = [...partitions];
  for (const [index, entry] of states) {
    const before = changed[index];
    if (before !== undefined) changed[index] = withState(before, entry);
  }
  return changed;
}

function assignedPartitions(
  draft: TopicDraft,
  assignment: TopicAssignment,
  old: TopicImage | undefined,
): readonly PartitionImage[] {
  let reused = old?.partitions.length === assignment.replicas.length;
  const partitions = assignment.replicas.map((replicas, index): PartitionImage => {
    const adding = assignment.adding.get(index) ?? none;
    const removing = assignment.removing.get(index) ?? none;
    const stateless = { replicas, adding, removing, state: undefined, stateVersion: -1, stateZxid: 0 };
    const partition = withState(stateless, draftState(draft, index));
    const before = old?.partitions[index];
    if (before !== undefined && samePartition(before, partition)) return before;
    reused = false;
    return partition;
  });
  return reused && old !== undefined ? old.partitions : partitions;
}

function withState(partition: PartitionImage, entry: PartitionStateEntry | undefined): PartitionImage {
  return { ...partition, state: entry?.state, stateVersion: entry?.version ?? -1, stateZxid: entry?.zxid ?? 0 };
}
