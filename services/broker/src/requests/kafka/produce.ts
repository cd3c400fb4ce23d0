import { apis, errorCodes, kafkaError, type RequestOf, type ResponseOf } from '@naru/kafka-protocol';
import { attributeBits, batchHeaderBytes, batchLayout, batchSizeAt, compressions, currentMagic } from '@naru/record';
import type { broker } from '@naru/rpc';
import { type KafkaApi, type KafkaCall, kafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { type LeaderHint, nodeEndpointsOf, orNull, wireTopicId } from './wire-values.ts';

type Call = KafkaCall<RequestOf<typeof apis.produce>, ResponseOf<typeof apis.produce>>;
type Answer = ResponseOf<typeof apis.produce>['topics'][number]['partitions'][number];

/** Below, requests carry message sets, which are gone (KIP-724). librdkafka before 2.11 compresses only when 0 is advertised, and then never sends it. */
const oldestVersion = 3;
/** KIP-110. */
const zstdVersion = 7;
const zstd = compressions.indexOf('zstd');
const noBytes = new Uint8Array(0);

/** Produce 0–13; versions below 3 are refused partition by partition. */
export function produceApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 13],
    overlappingMax: Number.POSITIVE_INFINITY,
    authorization: 'Write on Topic',
  } as const;
  return kafkaApi(apis.produce, options, (call) => {
    new KafkaProduce(deps, call).run();
    return undefined;
  });
}

/** A partition's place in the answer. `refusal` when it never reached the handler. */
interface Slot {
  readonly topic: number;
  readonly index: number;
  readonly refusal: number;
}

class KafkaProduce {
  readonly #deps: KafkaDependencies;
  readonly #call: Call;
  readonly #slots: Slot[] = [];

  constructor(deps: KafkaDependencies, call: Call) {
    this.#deps = deps;
    this.#call = call;
  }

  run(): void {
    const { request } = this.#call;
    const asked: broker.PartitionRecords[] = [];
    request.topics.forEach(({ name, topicId, partitions }, topic) => {
      const topicName = this.#nameOf(name, topicId);
      for (const { index, records } of partitions) {
        const refusal = this.#refusalOf(topicName, records);
        this.#slots.push({ topic, index, refusal });
        if (refusal !== errorCodes.NONE) continue;
        asked.push({ topic: topicName ?? '', topicId: '', partition: index, records: records ?? noBytes });
      }
    });
    // Without an answer nobody would learn that something failed: Kafka closes the connection then, so the handler must say.
    const acks = request.acks === 0 ? 1 : request.acks;
    const { timeoutMs } = request;
    if (asked.length === 0) this.#finish([]);
    else {
      this.#deps.produce.handle(
        { correlationId: 0, acks, timeoutMs, partitions: asked },
        (response) => this.#finish(response?.partitions ?? []),
        request.acks === 0,
      );
    }
  }

  #nameOf(name: string, topicId: string): string | undefined {
    return this.#call.version >= 13 ? this.#deps.admin.publisher.image.topicNames.get(topicId) : name;
  }

  #refusalOf(topicName: string | undefined, records: Uint8Array | null): number {
    const { version, request } = this.#call;
    if (topicName === undefined) return errorCodes.UNKNOWN_TOPIC_ID;
    if (request.transactionalId !== null) return errorCodes.INVALID_TXN_STATE;
    return refusalOfRecords(records ?? noBytes, version);
  }

  #finish(answered: readonly broker.PartitionAppended[]): void {
    const { request, answer } = this.#call;
    let next = 0;
    const answers = this.#slots.map((slot) => answerOf(slot, slot.refusal === 0 ? answered[next++] : undefined));
    if (request.acks !== 0) {
      answer({ kind: 'response', response: this.#response(answers) });
      return;
    }
    const failed = answers.find(({ errorCode }) => errorCode !== errorCodes.NONE);
    if (failed === undefined) answer({ kind: 'none' });
    else answer({ kind: 'close', reason: `acks=0 and ${kafkaError(failed.errorCode).name}` });
  }

  #response(answers: readonly Answer[]): ResponseOf<typeof apis.produce> {
    const { request, caller } = this.#call;
    const topics = request.topics.map(({ name, topicId }) => ({
      name,
      topicId: wireTopicId(topicId),
      partitions: [] as Answer[],
    }));
    for (const [i, { topic }] of this.#slots.entries()) topics[topic]?.partitions.push(answers[i] as Answer);
    const hints = answers.map(({ currentLeader }) => (currentLeader ?? null) as LeaderHint | null);
    return { topics, nodeEndpoints: nodeEndpointsOf(this.#deps.admin.publisher.image, hints, caller.listener) };
  }
}

/** Only what Kafka's protocol rules out besides what the handler checks: other formats and codecs than the version knows, several batches, transactions. */
function refusalOfRecords(records: Uint8Array, version: number): number {
  if (version < oldestVersion) return errorCodes.UNSUPPORTED_VERSION;
  // What is no whole batch of the current format the handler refuses, and says why.
  if (records.length < batchHeaderBytes || records[batchLayout.magic] !== currentMagic) return errorCodes.NONE;
  const attributes = records[batchLayout.attributes + 1] as number;
  if ((attributes & attributeBits.compression) === zstd && version < zstdVersion) {
    return errorCodes.UNSUPPORTED_COMPRESSION_TYPE;
  }
  if ((attributes & attributeBits.transactional) !== 0) return errorCodes.INVALID_TXN_STATE;
  const isOne = (batchSizeAt(records, 0) as number) >= records.length;
  return isOne ? errorCodes.NONE : errorCodes.INVALID_RECORD;
}

function answerOf({ index, refusal }: Slot, appended: broker.PartitionAppended | undefined): Answer {
  if (appended === undefined) {
    const errorCode = refusal === errorCodes.NONE ? errorCodes.UNKNOWN_SERVER_ERROR : refusal;
    return { index, errorCode, baseOffset: -1, errorMessage: kafkaError(errorCode).message };
  }
  const { errorCode, baseOffset, logAppendTimeMs, logStartOffset, errorMessage, leaderId, leaderEpoch } = appended;
  const currentLeader =
    errorCode === errorCodes.NOT_LEADER_OR_FOLLOWER && leaderId >= 0 ? { leaderId, leaderEpoch } : null;
  return {
    index,
    errorCode,
    baseOffset,
    logAppendTimeMs,
    logStartOffset,
    errorMessage: orNull(errorMessage),
    currentLeader,
  };
}
