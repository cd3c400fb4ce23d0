import type { ConsumerMemberValue } from '../../records/consumer-group-values.ts';
import type { TopicCatalog } from './consumer-group-types.ts';
import { topicPattern } from './topic-pattern.ts';

/** What members' subscriptions mean in the cluster as it is: patterns are matched once for each version of the catalog. */
export class Subscriptions {
  readonly #catalog: TopicCatalog;
  #version = -1;
  #matches = new Map<string, readonly string[]>();

  constructor(catalog: TopicCatalog) {
    this.#catalog = catalog;
  }

  get version(): number {
    return this.#catalog.version;
  }

  /** Names, existing or not. */
  topicsOf({ subscribedTopicNames, subscribedTopicRegex }: ConsumerMemberValue): ReadonlySet<string> {
    return new Set([...subscribedTopicNames, ...this.#matching(subscribedTopicRegex)]);
  }

  /** Partitions of those topics that exist, by id. */
  partitionsOf(topics: Iterable<string>): ReadonlyMap<string, number> {
    const partitions = new Map<string, number>();
    for (const name of topics) {
      const topic = this.#catalog.find(name);
      if (topic !== undefined) partitions.set(topic.id, topic.partitions);
    }
    return partitions;
  }

  idsOf(topics: Iterable<string>): ReadonlySet<string> {
    return new Set(this.partitionsOf(topics).keys());
  }

  #matching(source: string | null): readonly string[] {
    if (source === null) return [];
    if (this.#version !== this.#catalog.version) {
      this.#version = this.#catalog.version;
      this.#matches = new Map();
    }
    let found = this.#matches.get(source);
    if (found === undefined) {
      const matches = topicPattern(source) ?? (() => false);
      found = [...this.#catalog.names()].filter(matches);
      this.#matches.set(source, found);
    }
    return found;
  }
}

/** FNV-1a of 32 bits over ids and numbers of partitions, in order of the ids. */
export function metadataHash(partitions: ReadonlyMap<string, number>): number {
  let hash = 0x811c9dc5;
  for (const [id, count] of [...partitions].sort(([a], [b]) => (a < b ? -1 : 1))) {
    for (const byte of Buffer.from(`${id}:${count};`)) hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}
