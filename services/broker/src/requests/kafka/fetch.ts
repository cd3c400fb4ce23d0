import { apis, errorCodes, type RequestOf, type ResponseOf } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { type KafkaApi, type KafkaCall, kafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { endpointsOf, type LeaderHint } from './wire-values.ts';

type Request = RequestOf<typeof apis.fetch>;
type Response = ResponseOf<typeof apis.fetch>;
type Call = KafkaCall<Request, Response>;
type Topic = Response['topics'][number];
type Answer = Topic['partitions'][number];

/** Topics by id from here on (KIP-516). */
const topicIdVersion = 13;
const noSession = 0;
/** Epochs of a session's first request, and of one outside any session (KIP-227). */
const initialEpoch = 0;
const finalEpoch = -1;

/**
 * Fetch 4–17. Sessions (KIP-227) are declined, as a broker may: every answer says session 0, and clients go on to send whole requests. A request that goes on
 * with a session is told that it is not known.
 */
export function fetchApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [4, 17], overlaps: true, authorization: 'Read on Topic' } as const;
  return kafkaApi(apis.fetch, options, (call) => new KafkaFetch(deps, call).run());
}

interface Slot {
  readonly topic: number;
  readonly partition: number;
  readonly refusal: number;
}

class KafkaFetch {
  readonly #deps: KafkaDependencies;
  readonly #call: Call;
  readonly #slots: Slot[] = [];

  constructor(deps: KafkaDependencies, call: Call) {
    this.#deps = deps;
    this.#call = call;
  }

  run(): (() => void) | undefined {
    const { request, answer } = this.#call;
    const sessionError = sessionErrorOf(request);
    if (sessionError !== errorCodes.NONE) {
      answer({ kind: 'response', response: { errorCode: sessionError, topics: [] } });
      return undefined;
    }
    const asked = this.#asked();
    const isRefused = asked.length < this.#slots.length;
    const fetch: broker.FetchRequest = {
      correlationId: 0,
      // Whoever has an error hears of it at once, as in Kafka; so does a client that asks for nothing.
      maxWaitMs: isRefused || asked.length === 0 ? 0 : request.maxWaitMs,
      minBytes: request.minBytes,
      maxBytes: request.maxBytes,
      isolationLevel: request.isolationLevel,
      partitions: asked,
    };
    return this.#deps.fetch.handle(fetch, (response) => {
      answer({ kind: 'response', response: this.#response(response.partitions) });
    });
  }

  #asked(): broker.PartitionFetch[] {
    const { request } = this.#call;
    const asked: broker.PartitionFetch[] = [];
    // A follower fetches on the brokers' port; nobody becomes in sync by saying so here (CVE-2018-1288).
    const replicaId = request.replicaState?.replicaId ?? request.replicaId;
    const refusal = replicaId >= 0 ? errorCodes.CLUSTER_AUTHORIZATION_FAILED : errorCodes.NONE;
    request.topics.forEach(({ topic, topicId, partitions }, index) => {
      const name = this.#nameOf(topic, topicId);
      for (const one of partitions) {
        const code = name === undefined ? errorCodes.UNKNOWN_TOPIC_ID : refusal;
        this.#slots.push({ topic: index, partition: one.partition, refusal: code });
        if (name === undefined || code !== errorCodes.NONE) continue;
        asked.push({
          topic: name,
          topicId: '',
          partition: one.partition,
          fetchOffset: one.fetchOffset,
          currentLeaderEpoch: one.currentLeaderEpoch,
          maxBytes: one.partitionMaxBytes,
        });
      }
    });
    return asked;
  }

  #nameOf(name: string, topicId: string): string | undefined {
    return this.#call.version >= topicIdVersion ? this.#deps.admin.publisher.image.topicNames.get(topicId) : name;
  }

  #response(fetched: readonly broker.PartitionFetched[]): Response {
    const { request } = this.#call;
    const topics = request.topics.map(({ topic, topicId }) => ({ topic, topicId, partitions: [] as Answer[] }));
    const hints: LeaderHint[] = [];
    let next = 0;
    for (const { topic, partition, refusal } of this.#slots) {
      const one = refusal === errorCodes.NONE ? (fetched[next++] as broker.PartitionFetched) : undefined;
      const answer = one === undefined ? refused(partition, refusal) : answerOf(one, request.isolationLevel);
      if (answer.currentLeader) hints.push(answer.currentLeader as LeaderHint);
      topics[topic]?.partitions.push(answer);
    }
    return { topics, nodeEndpoints: endpointsOf(this.#deps.admin.publisher.image, hints) };
  }
}

function sessionErrorOf({ sessionId, sessionEpoch }: Request): number {
  if (sessionEpoch === finalEpoch || sessionEpoch === initialEpoch) return errorCodes.NONE;
  return sessionId === noSession ? errorCodes.INVALID_FETCH_SESSION_EPOCH : errorCodes.FETCH_SESSION_ID_NOT_FOUND;
}

const noBytes = new Uint8Array(0);

function refused(partition: number, errorCode: number): Answer {
  return { partition, errorCode, highWatermark: -1, records: noBytes };
}

function answerOf(fetched: broker.PartitionFetched, isolationLevel: number): Answer {
  const { partition, errorCode, highWatermark, lastStableOffset, logStartOffset, leaderId, leaderEpoch } = fetched;
  return {
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    currentLeader: errorCode !== errorCodes.NONE && leaderId >= 0 ? { leaderId, leaderEpoch } : null,
    // Nothing is aborted while there are no transactions.
    abortedTransactions: isolationLevel === 0 ? null : [],
    records: fetched.records,
  };
}
