import type { Logger } from '@naru/observability';
import { type Rpc, type RpcChannel, RpcError, type UnaryMethod } from '@naru/rpc';
import { type Clock, sleep, type Timers } from '@naru/runtime';
import { addressOf } from '../cluster/endpoint.ts';
import type { BrokerImage } from '../cluster/metadata-image.ts';
import type { MetadataPublisher } from '../cluster/metadata-publisher.ts';
import type { Controller } from './controller.ts';

const retryMinMs = 20;
const retryMaxMs = 200;

export interface ForwarderOptions {
  readonly rpc: Rpc;
  /** The listener of other brokers that is for brokers. */
  readonly interBrokerListener: string;
  readonly publisher: MetadataPublisher;
  /** Of this broker: answers without the network while it is the controller. */
  readonly controller: Controller;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What is asked of the controller: where it goes over the wire, and who answers when the controller is this broker. */
export interface ControllerCall<Request, Response> {
  readonly method: UnaryMethod<Request, Response>;
  readonly answer: (controller: Controller, request: Request) => Promise<Response>;
  readonly isNotController: (response: Response) => boolean;
}

export type Forwarded<Response> =
  /** `mayRepeat`: an earlier attempt's outcome is unknown; what this answer refuses as done already may have been done by it. */
  | { readonly ok: true; readonly response: Response; readonly mayRepeat: boolean }
  | { readonly ok: false; readonly reason: 'timeout' };

/**
 * Takes a request to whoever is the controller, and again after a change of controller, until it is answered or its time is over. Over its lifetime it keeps one
 * connection, to the last controller it spoke to.
 */
export class ControllerForwarder {
  readonly #options: ForwarderOptions;
  #connection: { readonly broker: BrokerImage; readonly channel: Promise<RpcChannel> } | undefined;
  #closed = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  async forward<Request, Response>(
    call: ControllerCall<Request, Response>,
    request: Request,
    deadlineMs: number,
  ): Promise<Forwarded<Response>> {
    const { clock, timers } = this.#options;
    let mayRepeat = false;
    for (let delayMs = retryMinMs; !this.#closed; delayMs = Math.min(2 * delayMs, retryMaxMs)) {
      const remainingMs = deadlineMs - clock.monotonicMs();
      if (remainingMs <= 0) break;
      const attempt = await this.#attempt(call, request, remainingMs);
      if (attempt.kind === 'answer' && !call.isNotController(attempt.response)) {
        return { ok: true, response: attempt.response, mayRepeat };
      }
      // A controller that lost its office in the middle may have done a part of it.
      mayRepeat ||= attempt.kind !== 'not-sent';
      await sleep(timers, Math.min(delayMs, Math.max(0, deadlineMs - clock.monotonicMs())));
    }
    return { ok: false, reason: 'timeout' };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.channel.then(
      (channel) => channel.close(),
      () => {},
    );
  }

  async #attempt<Request, Response>(
    call: ControllerCall<Request, Response>,
    request: Request,
    timeoutMs: number,
  ): Promise<Attempt<Response>> {
    const { controller, publisher, logger } = this.#options;
    if (controller.term !== undefined) return this.#answerHere(call.answer(controller, request), timeoutMs);
    const broker = publisher.image.brokers.get(publisher.image.controllerId);
    if (broker === undefined) return { kind: 'not-sent' };
    let channel: RpcChannel;
    try {
      channel = await this.#connect(broker);
    } catch (error) {
      logger.info({ error, controller: broker.id }, 'the controller cannot be reached');
      return { kind: 'not-sent' };
    }
    // A controller that hangs keeps its connection; its successor's election ends the wait.
    const successor = new AbortController();
    const unsubscribe = publisher.subscribe((image) => {
      const isInOffice = image.controllerId === broker.id && image.brokers.get(broker.id)?.epoch === broker.epoch;
      if (!isInOffice) successor.abort(new Error(`broker ${broker.id} is not the controller any more`));
    });
    try {
      const response = await channel.call(call.method, request, { timeoutMs, signal: successor.signal });
      return { kind: 'answer', response };
    } catch (error) {
      if (!(error instanceof RpcError) && !successor.signal.aborted) throw error;
      logger.info({ error, controller: broker.id }, 'the controller did not answer');
      return { kind: 'no-answer' };
    } finally {
      unsubscribe();
    }
  }

  /** This broker as the controller waits for the coordinators, who may be out of reach for longer than whoever asks has time. */
  async #answerHere<Response>(answer: Promise<Response>, timeoutMs: number): Promise<Attempt<Response>> {
    const patience = new AbortController();
    const late = sleep(this.#options.timers, timeoutMs, patience.signal).then(
      () => ({ kind: 'no-answer' }) as const,
      () => ({ kind: 'no-answer' }) as const,
    );
    try {
      return await Promise.race([answer.then((response) => ({ kind: 'answer', response }) as const), late]);
    } finally {
      patience.abort();
    }
  }

  #connect(broker: BrokerImage): Promise<RpcChannel> {
    const current = this.#connection;
    if (current !== undefined && current.broker.id === broker.id && current.broker.epoch === broker.epoch)
      return current.channel;
    void current?.channel.then(
      (channel) => channel.close(),
      () => {},
    );
    const { interBrokerListener } = this.#options;
    const address = addressOf(broker, interBrokerListener);
    if (address === undefined) {
      return Promise.reject(new RpcError('unavailable', `broker ${broker.id} has no listener ${interBrokerListener}`));
    }
    const channel = this.#options.rpc.connect(address);
    const connection = { broker, channel };
    this.#connection = connection;
    const forget = (): void => {
      if (this.#connection === connection) this.#connection = undefined;
    };
    channel.then((open) => open.onClose(forget), forget);
    return channel;
  }
}

type Attempt<Response> =
  | { readonly kind: 'answer'; readonly response: Response }
  | { readonly kind: 'no-answer' }
  | { readonly kind: 'not-sent' };
