import type { MetadataPublisher } from '../../cluster/metadata-publisher.ts';
import type { TopicCatalog } from '../core/consumer/consumer-group-types.ts';

/** The topics of the metadata image. Those that are about to be deleted are not there, and patterns match no internal ones. */
export class ImageCatalog implements TopicCatalog {
  version = 0;
  readonly #publisher: MetadataPublisher;
  readonly #isInternal: (name: string) => boolean;
  readonly #unsubscribe: () => void;

  constructor(publisher: MetadataPublisher, isInternal: (name: string) => boolean, onChange: () => void) {
    this.#publisher = publisher;
    this.#isInternal = isInternal;
    this.#unsubscribe = publisher.subscribe((_, delta) => {
      const isGrown = delta.partitionsChanged.some(({ before }) => before === undefined);
      const changes = [delta.topicsCreated, delta.topicsDeleted, delta.topicsVanished, delta.topicsMarkedForDeletion];
      if (!isGrown && changes.every(({ length }) => length === 0)) return;
      this.version++;
      onChange();
    });
  }

  *names(): Iterable<string> {
    for (const [name, { markedForDeletion }] of this.#publisher.image.topics) {
      if (!markedForDeletion && !this.#isInternal(name)) yield name;
    }
  }

  find(name: string): { readonly id: string; readonly partitions: number } | undefined {
    const topic = this.#publisher.image.topics.get(name);
    if (topic === undefined || topic.markedForDeletion) return undefined;
    return { id: topic.id, partitions: topic.partitions.length };
  }

  nameOf(id: string): string | undefined {
    return this.#publisher.image.topicNames.get(id);
  }

  close(): void {
    this.#unsubscribe();
  }
}
