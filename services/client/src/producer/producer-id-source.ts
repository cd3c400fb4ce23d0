import { brokerMethods } from '@naru/rpc';
import { sleep } from '@naru/runtime';
import type { Cluster } from '../cluster/cluster.ts';
import { type KafkaError, UnsupportedVersionError } from '../errors.ts';
import { errorFromCode, errorFromRpc } from '../errors-from-wire.ts';
import type { ProducerIdentity } from './partition-sequence.ts';

/** One broker has this long to answer; then another one is asked. */
const attemptMs = 2_000;

/** Gets the producer its id from any broker, when it is first needed, and another one should its epochs be used up. */
export class ProducerIdSource {
  readonly #cluster: Cluster;
  readonly #onReady: () => void;
  readonly #onRefused: (error: KafkaError) => void;
  #identity: ProducerIdentity | undefined;
  #isAsking = false;
  #rotation = 0;

  /** `onRefused`: no id will ever be had. */
  constructor(cluster: Cluster, onReady: () => void, onRefused: (error: KafkaError) => void) {
    this.#cluster = cluster;
    this.#onReady = onReady;
    this.#onRefused = onRefused;
  }

  /** The id to begin a sequence with, another one than `usedUp`. Undefined when it is not there yet: `onReady` will tell. */
  identity(usedUp?: number): ProducerIdentity | undefined {
    if (this.#identity !== undefined && this.#identity.producerId !== usedUp) return this.#identity;
    this.#identity = undefined;
    if (!this.#isAsking) {
      this.#isAsking = true;
      void this.#ask().finally(() => {
        this.#isAsking = false;
      });
    }
    return undefined;
  }

  async #ask(): Promise<void> {
    for (let attempt = 1; !this.#cluster.isClosed; attempt++) {
      try {
        this.#identity = await this.#askOnce();
        this.#onReady();
        return;
      } catch (cause) {
        if (this.#cluster.isClosed) return;
        const error = errorFromRpc(cause);
        if (!error.retriable) return this.#onRefused(explained(error));
        this.#cluster.logger.debug({ err: error }, 'no producer id yet');
        await sleep(this.#cluster.runtime.timers, this.#cluster.retryPauseMs(attempt));
      }
    }
  }

  async #askOnce(): Promise<ProducerIdentity> {
    const deadlineMs = this.#cluster.nowMs() + attemptMs;
    while (this.#cluster.image.brokers.size === 0) await this.#cluster.nextRefresh(deadlineMs);
    const brokerIds = [...this.#cluster.image.brokers.keys()];
    const brokerId = brokerIds[this.#rotation++ % brokerIds.length] as number;
    const request = { transactionalId: '' };
    const answer = await this.#cluster.callOnce(brokerId, brokerMethods.initProducerId, request, deadlineMs);
    if (answer.errorCode !== 0) throw errorFromCode(answer.errorCode, answer.errorMessage, { broker: brokerId });
    return { producerId: answer.producerId, epoch: answer.producerEpoch };
  }
}

function explained(error: KafkaError): KafkaError {
  if (!(error instanceof UnsupportedVersionError)) return error;
  const message = 'the brokers give no producer ids; set enable.idempotence=false to write to them';
  return new UnsupportedVersionError(message, { cause: error, broker: error.broker });
}
