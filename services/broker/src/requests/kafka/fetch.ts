import { apis, errorCodes, type RequestOf, type ResponseOf } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import type { SingleFetch } from '../fetch.ts';
import { type FetchPlan, FetchSessions, type Told } from './fetch-sessions.ts';
import { type KafkaApi, type KafkaCall, kafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { type LeaderHint, nodeEndpointsOf } from './wire-values.ts';

type Response = ResponseOf<typeof apis.fetch>;
type Call = KafkaCall<RequestOf<typeof apis.fetch>, Response>;
type Answer = Response['topics'][number]['partitions'][number];

/** Topics by id from here on (KIP-516). */
const topicIdVersion = 13;
const noSession = 0;
/** Of one connection: each may have an answer of `fetch.max.bytes`, whether the client takes it or not. */
const overlappingMax = 4;

/** Fetch 4–17, with sessions (KIP-227) for clients that ask for one. */
export function fetchApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [4, 17], overlappingMax, authorization: 'Read on Topic' } as const;
  const sessions = new FetchSessions(
    () => deps.admin.clock.monotonicMs(),
    (maxExclusive) => deps.admin.random.nextInt(maxExclusive),
  );
  return kafkaApi(apis.fetch, options, (call) => {
    const plan = sessions.plan(call.request, call.version >= topicIdVersion);
    if (plan.kind === 'fetch') return new KafkaFetch(deps, call, plan).run();
    call.answer({ kind: 'response', response: { errorCode: plan.errorCode, topics: [] } });
    return undefined;
  });
}

class KafkaFetch {
  readonly #deps: KafkaDependencies;
  readonly #call: Call;
  readonly #plan: FetchPlan;
  /** By the partitions of the plan: why one never reached the handler. */
  readonly #refusals: number[] = [];

  constructor(deps: KafkaDependencies, call: Call, plan: FetchPlan) {
    this.#deps = deps;
    this.#call = call;
    this.#plan = plan;
  }

  run(): (() => void) | undefined {
    const { request, answer, answerBytesMax } = this.#call;
    const asked = this.#asked();
    const isRefused = asked.length < this.#plan.partitions.length;
    const fetch: SingleFetch = {
      // Whoever has an error hears of it at once, as in Kafka; so does a client that asks for nothing.
      maxWaitMs: isRefused || asked.length === 0 ? 0 : request.maxWaitMs,
      minBytes: request.minBytes,
      maxBytes: Math.min(request.maxBytes, answerBytesMax),
      isolationLevel: request.isolationLevel,
      partitions: asked,
    };
    return this.#deps.fetch.handle(fetch, (answers) => {
      answer({ kind: 'response', response: this.#response(answers) });
    });
  }

  #asked(): broker.PartitionFetch[] {
    const { request } = this.#call;
    const asked: broker.PartitionFetch[] = [];
    // A follower fetches on the brokers' port; nobody becomes in sync by saying so here (CVE-2018-1288).
    const replicaId = request.replicaState?.replicaId ?? request.replicaId;
    const refusal = replicaId >= 0 ? errorCodes.CLUSTER_AUTHORIZATION_FAILED : errorCodes.NONE;
    for (const { topic, topicId, partitionMaxBytes, ...position } of this.#plan.partitions) {
      const name = this.#nameOf(topic, topicId);
      const code = name === undefined ? errorCodes.UNKNOWN_TOPIC_ID : refusal;
      this.#refusals.push(code);
      if (name === undefined || code !== errorCodes.NONE) continue;
      const { partition, fetchOffset, currentLeaderEpoch, lastFetchedEpoch } = position;
      asked.push({
        topic: name,
        topicId: '',
        partition,
        fetchOffset,
        currentLeaderEpoch,
        lastFetchedEpoch,
        maxBytes: partitionMaxBytes,
      });
    }
    return asked;
  }

  #nameOf(name: string, topicId: string): string | undefined {
    return this.#call.version >= topicIdVersion ? this.#deps.admin.publisher.image.topicNames.get(topicId) : name;
  }

  #response(fetched: readonly broker.PartitionFetched[]): Response {
    const { session, isIncremental, partitions } = this.#plan;
    const { isolationLevel } = this.#call.request;
    const topics = new Map<string, { topic: string; topicId: string; partitions: Answer[] }>();
    const hints: LeaderHint[] = [];
    const byName = new Map(fetched.map((one) => [`${one.topic}\n${one.partition}`, one]));
    for (const [i, asked] of partitions.entries()) {
      const refusal = this.#refusals[i] as number;
      const name = this.#nameOf(asked.topic, asked.topicId);
      const one = refusal === errorCodes.NONE ? byName.get(`${name}\n${asked.partition}`) : undefined;
      const answer = one === undefined ? refused(asked.partition, refusal) : answerOf(one, isolationLevel);
      const isNews = session?.tells(asked, toldBy(answer)) ?? true;
      if (isIncremental && !isNews) continue;
      if (answer.currentLeader) hints.push(answer.currentLeader as LeaderHint);
      const { topic, topicId } = asked;
      const key = `${topic}\n${topicId}`;
      const group = topics.get(key) ?? { topic, topicId, partitions: [] };
      topics.set(key, group);
      group.partitions.push(answer);
    }
    return {
      sessionId: session?.id ?? noSession,
      topics: [...topics.values()],
      nodeEndpoints: nodeEndpointsOf(this.#deps.admin.publisher.image, hints, this.#call.caller.listener),
    };
  }
}

function toldBy({ errorCode, highWatermark, logStartOffset, divergingEpoch, records }: Answer): Told {
  return {
    errorCode,
    highWatermark,
    logStartOffset: logStartOffset ?? -1,
    hasRecords: records !== null && records.length > 0,
    isDiverging: divergingEpoch !== undefined && divergingEpoch !== null,
  };
}

const noBytes = new Uint8Array(0);

function refused(partition: number, errorCode: number): Answer {
  return { partition, errorCode, highWatermark: -1, records: noBytes };
}

function answerOf(fetched: broker.PartitionFetched, isolationLevel: number): Answer {
  const { partition, errorCode, highWatermark, lastStableOffset, logStartOffset, leaderId, leaderEpoch } = fetched;
  const { diverging } = fetched;
  return {
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    divergingEpoch: diverging ?? null,
    currentLeader: errorCode !== errorCodes.NONE && leaderId >= 0 ? { leaderId, leaderEpoch } : null,
    // Nothing is aborted while there are no transactions.
    abortedTransactions: isolationLevel === 0 ? null : [],
    records: fetched.records,
  };
}
