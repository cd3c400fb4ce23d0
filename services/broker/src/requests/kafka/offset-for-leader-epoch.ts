import { apis, errorCodes } from '@naru/kafka-protocol';
import { codeOf } from '../../replication/error-codes.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';

interface Asked {
  readonly partition: number;
  readonly currentLeaderEpoch: number;
  readonly leaderEpoch: number;
}

/** OffsetForLeaderEpoch 2–4: where the largest epoch not above the asked one ends (KIP-320), so that a consumer notices that its log was cut. */
export function offsetForLeaderEpochApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [2, 4], authorization: 'Describe on Topic', onError: unexpected(deps.logger) } as const;
  return answeredApi(apis.offsetForLeaderEpoch, options, ({ topics }) => ({
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((asked) => endOf(deps, topic, asked)),
    })),
  }));
}

function endOf(deps: KafkaDependencies, topic: string, { partition, currentLeaderEpoch, leaderEpoch }: Asked) {
  const found = deps.replicas.find(topic, '', partition);
  const outcome = found.kind === 'partition' ? found.partition.checkLeader(currentLeaderEpoch) : found.kind;
  if (found.kind !== 'partition' || outcome !== 'leader') {
    const errorCode = codeOf[outcome as Exclude<typeof outcome, 'leader' | 'partition'>];
    return { errorCode, partition, leaderEpoch: -1, endOffset: -1 };
  }
  const { log } = found.partition;
  const { epoch, endOffset } = log.leaderEpochs.endOffsetFor(leaderEpoch, log.logEndOffset);
  return { errorCode: errorCodes.NONE, partition, leaderEpoch: epoch, endOffset };
}
