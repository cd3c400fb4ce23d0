import type { Stat, WatchChange, Znode, Zxid } from '@naru/coordinator-client';
import { unreachable } from '@naru/runtime';
import { emptyImage, type MetadataImage, noConfig, type TopicImage } from './metadata-image.ts';
import { decodePartitionState } from './partition-state-codec.ts';
import { assignmentOf, newDraft, stateEntry, type TopicDraft, topicOf, unplacedOf } from './topic-draft.ts';
import {
  decodeBroker,
  decodeClusterId,
  decodeConfig,
  decodeController,
  decodeControllerEpoch,
  decodeDeletedTopic,
  decodeDeleteTopic,
  decodeDirectory,
  decodeTopic,
} from './znode-codecs.ts';
import { ZnodeDecodeError } from './znode-fields.ts';
import { subjectOf, type ZnodeSubject } from './znode-paths.ts';

/** Told of every znode that could not be read. */
export type UndecodableListener = (error: ZnodeDecodeError) => void;

/** The image after all changes of one zxid. */
export function applyChanges(
  image: MetadataImage,
  changes: readonly WatchChange[],
  zxid: Zxid,
  onUndecodable: UndecodableListener,
): MetadataImage {
  const builder = new ImageBuilder(image, image, onUndecodable);
  for (const change of changes) {
    if (change.kind === 'deleted') builder.remove(change.path);
    else builder.put(change.node);
  }
  return builder.build(zxid);
}

/** The image of a snapshot. `previous` lends what cannot be read any more, and its objects where nothing changed. */
export function applySnapshot(
  previous: MetadataImage,
  nodes: readonly Znode[],
  zxid: Zxid,
  onUndecodable: UndecodableListener,
): MetadataImage {
  const builder = new ImageBuilder(emptyImage, previous, onUndecodable);
  for (const node of nodes) builder.put(node);
  return builder.build(zxid);
}

/**
 * Collects changes in drafts and copies every map that was touched once, at the end: a change of a thousand partitions in one zxid costs one new topic
 * object per topic. Rule of row 58: what cannot be decoded keeps the value it had in `previous`; only a deletion deletes.
 */
class ImageBuilder {
  readonly #base: MetadataImage;
  readonly #previous: MetadataImage;
  readonly #onUndecodable: UndecodableListener;
  readonly #drafts = new Map<string, TopicDraft>();
  readonly #fields: { -readonly [Key in keyof MetadataImage]?: MetadataImage[Key] } = {};

  constructor(base: MetadataImage, previous: MetadataImage, onUndecodable: UndecodableListener) {
    this.#base = base;
    this.#previous = previous;
    this.#onUndecodable = onUndecodable;
  }

  put(node: Znode): void {
    const subject = subjectOf(node.path);
    if (subject.kind === 'other') return;
    try {
      this.#put(subject, node);
    } catch (error) {
      if (!(error instanceof ZnodeDecodeError)) throw error;
      this.#onUndecodable(error);
      this.#keepPrevious(subject);
    }
  }

  #put(subject: ZnodeSubject, { path, data, stat }: Znode): void {
    switch (subject.kind) {
      case 'other':
        return;
      case 'cluster-id':
        this.#fields.clusterId = decodeClusterId(path, data);
        return;
      case 'controller':
        this.#fields.controllerId = decodeController(path, data);
        return;
      case 'controller-epoch':
        this.#fields.controllerEpoch = decodeControllerEpoch(path, data);
        this.#fields.controllerEpochVersion = stat.version;
        return;
      case 'broker':
        this.#putBroker(subject.brokerId, path, data, stat);
        return;
      case 'broker-directory':
        this.#map('directories').set(subject.brokerId, {
          directoryId: decodeDirectory(path, data),
          since: stat.mzxid,
        });
        return;
      case 'broker-config':
        this.#map('brokerConfigs').set(subject.name, decodeConfig(path, data));
        return;
      case 'deleted-topic':
        this.#map('deletedTopicIds').set(subject.topicId, { name: decodeDeletedTopic(path, data), zxid: stat.czxid });
        return;
      case 'topic':
        this.#draft(subject.topic).assignment = {
          ...decodeTopic(path, data),
          version: stat.version,
          czxid: stat.czxid,
        };
        return;
      case 'topic-config': {
        const config = decodeConfig(path, data);
        const draft = this.#draft(subject.topic);
        draft.config = config;
        draft.configVersion = stat.version;
        return;
      }
      case 'delete-topic':
        this.#draft(subject.topic).deletionMark = decodeDeleteTopic(path, data);
        return;
      case 'partition-state': {
        const state = decodePartitionState(path, data);
        const entry = { state, version: stat.version, zxid: stat.mzxid };
        this.#draft(subject.topic).states.set(subject.partition, entry);
        return;
      }
      default:
        unreachable(subject);
    }
  }

  #putBroker(brokerId: number, path: string, data: Uint8Array, stat: Stat): void {
    const broker = { id: brokerId, epoch: stat.czxid, version: stat.version, ...decodeBroker(path, data) };
    const old = this.#previous.brokers.get(brokerId);
    const same = old !== undefined && old.epoch === broker.epoch && old.version === broker.version;
    this.#map('brokers').set(brokerId, same ? old : broker);
  }

  remove(path: string): void {
    const subject = subjectOf(path);
    switch (subject.kind) {
      case 'other':
        return;
      case 'cluster-id':
        this.#fields.clusterId = undefined;
        return;
      case 'controller':
        this.#fields.controllerId = emptyImage.controllerId;
        return;
      case 'controller-epoch':
        // The epoch itself is kept: it must never be seen to go back.
        this.#fields.controllerEpochVersion = -1;
        return;
      case 'broker':
        this.#map('brokers').delete(subject.brokerId);
        return;
      case 'broker-directory':
        this.#map('directories').delete(subject.brokerId);
        return;
      case 'broker-config':
        this.#map('brokerConfigs').delete(subject.name);
        return;
      case 'deleted-topic':
        this.#map('deletedTopicIds').delete(subject.topicId);
        return;
      case 'topic':
        this.#draft(subject.topic).assignment = undefined;
        return;
      case 'topic-config': {
        const draft = this.#draft(subject.topic);
        draft.config = noConfig;
        draft.configVersion = -1;
        return;
      }
      case 'delete-topic':
        this.#draft(subject.topic).deletionMark = undefined;
        return;
      case 'partition-state':
        this.#draft(subject.topic).states.set(subject.partition, undefined);
        return;
      default:
        unreachable(subject);
    }
  }

  /** After changes the old value is still there; a snapshot starts from nothing, so it has to be carried over. */
  #keepPrevious(subject: ZnodeSubject): void {
    const previous = this.#previous;
    if (this.#base === previous) return;
    switch (subject.kind) {
      case 'other':
        return;
      case 'cluster-id':
        this.#fields.clusterId = previous.clusterId;
        return;
      case 'controller':
        this.#fields.controllerId = previous.controllerId;
        return;
      case 'controller-epoch':
        this.#fields.controllerEpoch = previous.controllerEpoch;
        this.#fields.controllerEpochVersion = previous.controllerEpochVersion;
        return;
      case 'broker':
        keep(this.#map('brokers'), previous.brokers, subject.brokerId);
        return;
      case 'broker-directory':
        keep(this.#map('directories'), previous.directories, subject.brokerId);
        return;
      case 'broker-config':
        keep(this.#map('brokerConfigs'), previous.brokerConfigs, subject.name);
        return;
      case 'deleted-topic':
        // That it exists is the proof; its content is only a name.
        this.#map('deletedTopicIds').set(
          subject.topicId,
          previous.deletedTopicIds.get(subject.topicId) ?? { name: '', zxid: 0 },
        );
        return;
      case 'topic':
      case 'topic-config':
      case 'delete-topic':
      case 'partition-state':
        this.#keepPreviousTopic(subject);
        return;
      default:
        unreachable(subject);
    }
  }

  #keepPreviousTopic(subject: Extract<ZnodeSubject, { topic: string }>): void {
    const old = this.#previous.topics.get(subject.topic);
    const unplaced = this.#previous.unplaced.get(subject.topic);
    const draft = this.#draft(subject.topic);
    switch (subject.kind) {
      case 'topic':
        draft.assignment = old === undefined ? undefined : assignmentOf(old);
        return;
      case 'delete-topic':
        draft.deletionMark = (old ?? unplaced)?.deletionMark;
        return;
      case 'partition-state':
        draft.states.set(
          subject.partition,
          stateEntry(old, subject.partition) ?? unplaced?.states.get(subject.partition),
        );
        return;
      case 'topic-config':
        draft.config = (old ?? unplaced)?.config ?? noConfig;
        draft.configVersion = (old ?? unplaced)?.configVersion ?? -1;
        return;
    }
  }

  build(zxid: Zxid): MetadataImage {
    const topics = new Map<string, TopicImage | undefined>();
    for (const [name, draft] of this.#drafts) topics.set(name, this.#place(name, draft));
    return { ...this.#base, ...this.#fields, topics: this.#base.topics.with(topics), zxid };
  }

  #place(name: string, draft: TopicDraft): TopicImage | undefined {
    const { base } = draft;
    const next = topicOf(name, draft, this.#previous.topics.get(name));
    if (base?.id !== next?.id) {
      if (base !== undefined) this.#map('topicNames').delete(base.id);
      if (next !== undefined) this.#map('topicNames').set(next.id, name);
    }
    const rest = unplacedOf(draft, next);
    if (rest !== undefined) this.#map('unplaced').set(name, rest);
    else if (draft.unplaced !== undefined) this.#map('unplaced').delete(name);
    return next;
  }

  #draft(topic: string): TopicDraft {
    let draft = this.#drafts.get(topic);
    if (draft === undefined) {
      draft = newDraft(this.#base.topics.get(topic), this.#base.unplaced.get(topic));
      this.#drafts.set(topic, draft);
    }
    return draft;
  }

  /** The map as it will be in the new image: a copy, made once. */
  #map<Name extends MapField>(name: Name): Map<KeyOf<Name>, ValueOf<Name>> {
    const existing = this.#fields[name];
    if (existing !== undefined) return existing as unknown as Map<KeyOf<Name>, ValueOf<Name>>;
    const copy = new Map<unknown, unknown>(this.#base[name] as ReadonlyMap<unknown, unknown>);
    (this.#fields as Record<string, unknown>)[name] = copy;
    return copy as Map<KeyOf<Name>, ValueOf<Name>>;
  }
}

type MapField = 'brokers' | 'directories' | 'topicNames' | 'deletedTopicIds' | 'brokerConfigs' | 'unplaced';
type KeyOf<Name extends MapField> = MetadataImage[Name] extends ReadonlyMap<infer Key, unknown> ? Key : never;
type ValueOf<Name extends MapField> = MetadataImage[Name] extends ReadonlyMap<infer _Key, infer Value> ? Value : never;

function keep<Key, Value>(map: Map<Key, Value>, previous: ReadonlyMap<Key, Value>, key: Key): void {
  const old = previous.get(key);
  if (old !== undefined) map.set(key, old);
}
