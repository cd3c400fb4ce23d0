import { apis, errorCodes, type ResponseOf, zeroUuid } from '@naru/kafka-protocol';
import type { groups } from '@naru/rpc';
import { offsetCommit } from '../groups/offset-commit.ts';
import { offsetDelete } from '../groups/offset-delete.ts';
import { offsetFetch } from '../groups/offset-fetch.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';

const costBytes = 65_536;
const fetchesManyVersion = 8;
/** From here on topics are named by id. */
const topicIdVersion = 10;
/** Before, a response had errors only with its partitions. */
const errorOfRequestVersion = 2;
const none = -1;

type FetchedTopics = ResponseOf<typeof apis.offsetFetch>['groups'];
type AskedTopics = readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] | null;

/** OffsetCommit 2–10, OffsetFetch 1–10, OffsetDelete 0. */
export function groupOffsetApis(deps: KafkaDependencies): readonly KafkaApi[] {
  return [offsetCommitApi(deps), offsetFetchApi(deps), offsetDeleteApi(deps)];
}

function offsetCommitApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [2, 10],
    costBytes,
    authorization: 'Read on Group and Topic',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.offsetCommit, options, async ({ topics, ...request }, version) => {
    const { groupId, generationId, memberId } = request;
    const known = topics.map((topic) => ({ ...topic, name: nameOf(deps, topic, version) }));
    const offsets = known.flatMap(({ name, partitions }) =>
      partitions.flatMap(({ partitionIndex, committedOffset, committedLeaderEpoch, committedMetadata }) => {
        const offset = { partition: partitionIndex, offset: committedOffset, leaderEpoch: committedLeaderEpoch };
        return name === undefined ? [] : [{ topic: name, ...offset, metadata: committedMetadata ?? '' }];
      }),
    );
    const groupInstanceId = request.groupInstanceId ?? '';
    const committed = await offsetCommit(deps.groups, { groupId, generationId, memberId, groupInstanceId, offsets });
    let next = 0;
    const codeOf = (name: string | undefined): number =>
      name === undefined ? errorCodes.UNKNOWN_TOPIC_ID : (committed.offsets[next++]?.errorCode ?? committed.errorCode);
    return {
      topics: known.map(({ topicId, name, partitions }) => ({
        topicId,
        name: name ?? '',
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: codeOf(name) })),
      })),
    };
  });
}

/** Undefined: no topic has this id. */
function nameOf(
  deps: KafkaDependencies,
  { name, topicId }: { readonly name: string; readonly topicId: string },
  version: number,
): string | undefined {
  return version >= topicIdVersion ? deps.admin.publisher.image.topicNames.get(topicId) : name;
}

function offsetFetchApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [1, 10],
    costBytes,
    authorization: 'Describe on Group and Topic',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.offsetFetch, options, (request, version) => {
    const { requireStable } = request;
    if (version >= fetchesManyVersion) {
      const found = request.groups.map(({ groupId, memberId, memberEpoch, topics }) => {
        // A member epoch belongs to the newer protocol of groups; classic members do not name themselves here.
        const claim = { memberId: memberEpoch >= 0 ? (memberId ?? '') : '', generationId: memberEpoch };
        const asked = topics?.map((topic) => ({ ...topic, name: nameOf(deps, topic, version) })) ?? null;
        const known = asked?.flatMap(({ name, ...topic }) => (name === undefined ? [] : [{ ...topic, name }])) ?? null;
        const unknown = asked?.filter(({ name }) => name === undefined) ?? [];
        const { topics: fetched, errorCode } = fetchOf(deps, { groupId, ...claim, topics: known, requireStable });
        return { groupId, topics: [...fetched, ...unknown.map(unknownTopic)], errorCode };
      });
      return { groups: found };
    }
    const { groupId, topics } = request;
    const found = fetchOf(deps, { groupId, memberId: '', generationId: none, topics, requireStable });
    if (version >= errorOfRequestVersion || found.errorCode === 0) return found;
    return { topics: refusedTopics(topics, found.errorCode) };
  });
}

function unknownTopic({
  topicId,
  partitionIndexes,
}: {
  readonly topicId: string;
  readonly partitionIndexes: readonly number[];
}): FetchedTopic {
  return { ...refusedTopic('', partitionIndexes, errorCodes.UNKNOWN_TOPIC_ID), topicId };
}

function fetchOf(
  deps: KafkaDependencies,
  {
    topics,
    ...asked
  }: Omit<groups.OffsetFetchRequest, 'partitions' | 'allPartitions'> & { readonly topics: AskedTopics },
): { readonly topics: FetchedTopic[]; readonly errorCode: number } {
  const partitions = (topics ?? []).flatMap(({ name, partitionIndexes }) =>
    partitionIndexes.map((partition) => ({ topic: name, partition })),
  );
  const { errorCode, offsets } = offsetFetch(deps.groups, { ...asked, partitions, allPartitions: topics === null });
  const byTopic = new Map<string, FetchedTopic>();
  for (const { topic, partition, offset, leaderEpoch, metadata, errorCode: code } of offsets) {
    const topicId = deps.admin.publisher.image.topics.get(topic)?.id ?? zeroUuid;
    const found = byTopic.get(topic) ?? { topicId, name: topic, partitions: [] };
    byTopic.set(topic, found);
    found.partitions.push({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: leaderEpoch,
      metadata,
      errorCode: code,
    });
  }
  return { topics: [...byTopic.values()], errorCode };
}

interface FetchedTopic {
  readonly topicId: string;
  readonly name: string;
  readonly partitions: NonNullable<FetchedTopics>[number]['topics'][number]['partitions'][number][];
}

function refusedTopics(topics: AskedTopics, errorCode: number): FetchedTopic[] {
  return (topics ?? []).map(({ name, partitionIndexes }) => refusedTopic(name, partitionIndexes, errorCode));
}

function refusedTopic(name: string, partitionIndexes: readonly number[], errorCode: number): FetchedTopic {
  return {
    topicId: zeroUuid,
    name,
    partitions: partitionIndexes.map((partitionIndex) => {
      return { partitionIndex, committedOffset: none, committedLeaderEpoch: none, metadata: '', errorCode };
    }),
  };
}

function offsetDeleteApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 0],
    authorization: 'Delete on Group, Read on Topic',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.offsetDelete, options, async ({ groupId, topics }) => {
    const partitions = topics.flatMap(({ name, partitions: asked }) =>
      asked.map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })),
    );
    const deleted = await offsetDelete(deps.groups, { groupId, partitions });
    if (deleted.errorCode !== 0) return { errorCode: deleted.errorCode, topics: [] };
    let next = 0;
    return {
      topics: topics.map(({ name, partitions: asked }) => ({
        name,
        partitions: asked.map(({ partitionIndex }) => {
          return { partitionIndex, errorCode: deleted.partitions[next++]?.errorCode ?? 0 };
        }),
      })),
    };
  });
}
