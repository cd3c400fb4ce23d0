import type { groups } from '@naru/rpc';
import type { MetadataImage } from '../../cluster/metadata-image.ts';
import { type PartitionSet, topicPartitions } from '../../groups/core/consumer/partition-set.ts';

/** With the topics' names; empty for a topic that is gone. */
export function memberPartitions(partitions: PartitionSet, image: MetadataImage): groups.MemberPartitions[] {
  return topicPartitions(partitions).map(({ topicId, partitions: numbers }) => {
    return { topicId, topic: image.topicNames.get(topicId) ?? '', partitions: [...numbers] };
  });
}
