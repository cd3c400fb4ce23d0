import { errorCodes } from '@naru/kafka-protocol';
import { createRpc, groupMethods, type groups, type Rpc, type RpcChannel, type UnaryMethod } from '@naru/rpc';
import { type Address, formatAddress, type Timer } from '@naru/runtime';
import { BrokerLink } from '../../cluster/broker-link.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import { DisconnectError, type KafkaError, NotCoordinatorError, RetriableError } from '../../errors.ts';
import { errorFromCode, errorFromRpc } from '../../errors-from-wire.ts';

/** A call that is open for so long makes the client ask the coordinator whether it still is one; earlier with a short session. */
const probeIntervalMs = 3_000;
/** It has this long to say so. */
const probeTimeoutMs = 5_000;

export interface GroupCallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** False: nobody asks meanwhile whether the coordinator still is one. */
  readonly isProbed?: boolean;
  /** The coordinator was asked at this time (monotonic) and answered while the call was open. */
  readonly onAlive?: ((askedAtMs: number) => void) | undefined;
}

interface GroupAnswer {
  readonly errorCode: number;
  readonly errorMessage: string;
}

/**
 * The way to the broker that coordinates a group: found when needed, and again when it has moved or does not answer. It has a connection of its own: a
 * heartbeat must not stand behind megabytes of records, nor end because a fetch was given up.
 *
 * A JoinGroup may be open for minutes. So that a coordinator that is frozen or cut off does not cost these minutes, it is probed meanwhile.
 */
export class CoordinatorLink {
  readonly #cluster: Cluster;
  readonly #groupId: string;
  readonly #rpc: Rpc;
  readonly #probeIntervalMs: number;
  #link: BrokerLink | undefined;
  #isKnown = false;
  #nodeId = -1;
  #finding: Promise<BrokerLink> | undefined;
  #isClosed = false;

  constructor(cluster: Cluster, groupId: string, sessionTimeoutMs: number) {
    this.#cluster = cluster;
    this.#groupId = groupId;
    this.#probeIntervalMs = Math.min(probeIntervalMs, sessionTimeoutMs / 3);
    this.#rpc = createRpc(cluster.runtime);
  }

  /** Broker id of the coordinator; -1 while it is not known. */
  get nodeId(): number {
    return this.#isKnown ? this.#nodeId : -1;
  }

  /**
   * One attempt. Fails with a `KafkaError`, retriable when the coordinator was not reached, is no longer one or is loading. An answer with any other code is
   * returned: only the caller knows what it means.
   */
  async call<Request, Response extends GroupAnswer>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: GroupCallOptions,
  ): Promise<Response> {
    let link: BrokerLink | undefined;
    try {
      options.signal?.throwIfAborted();
      link = await this.#find();
      const channel = await link.connect();
      const { timeoutMs, isProbed = true, signal: given } = options;
      const send = (signal: AbortSignal | undefined): Promise<Response> =>
        channel.call(method, request, { timeoutMs, ...(signal && { signal }) });
      const answer = await (isProbed ? this.#probed(channel, options, send) : send(given));
      link.confirm();
      this.#checkCoordinator(answer);
      return answer;
    } catch (cause) {
      if (options.signal?.aborted) throw options.signal.reason;
      const error = errorFromRpc(cause, { broker: this.#nodeId });
      // Whoever does not answer may have been replaced.
      if (error.retriable && error.code !== errorCodes.COORDINATOR_LOAD_IN_PROGRESS) this.#forget(link);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#link?.close();
  }

  #checkCoordinator({ errorCode, errorMessage }: GroupAnswer): void {
    const isElsewhere =
      errorCode === errorCodes.NOT_COORDINATOR ||
      errorCode === errorCodes.COORDINATOR_NOT_AVAILABLE ||
      errorCode === errorCodes.COORDINATOR_LOAD_IN_PROGRESS;
    if (isElsewhere) throw errorFromCode(errorCode, errorMessage, { broker: this.#nodeId });
  }

  #find(): Promise<BrokerLink> {
    if (this.#isKnown && this.#link !== undefined) return Promise.resolve(this.#link);
    this.#finding ??= this.#findAnew().finally(() => {
      this.#finding = undefined;
    });
    return this.#finding;
  }

  async #findAnew(): Promise<BrokerLink> {
    const answer = await this.#cluster.callAny(groupMethods.findCoordinator, this.#question());
    const found = coordinatorIn(answer);
    if (this.#isClosed) throw new DisconnectError('the consumer is closed');
    const address: Address = { host: found.host, port: found.port };
    if (this.#link === undefined || formatAddress(this.#link.address) !== formatAddress(address)) {
      void this.#link?.close();
      const { config, runtime } = this.#cluster;
      this.#link = new BrokerLink(runtime, this.#rpc, address, {
        connectTimeoutMs: config['socket.connection.setup.timeout.ms'],
        backoffMs: config['reconnect.backoff.ms'],
        backoffMaxMs: config['reconnect.backoff.max.ms'],
      });
    }
    this.#nodeId = found.nodeId;
    this.#isKnown = true;
    return this.#link;
  }

  #question(): groups.FindCoordinatorRequest {
    return { keyType: 0, keys: [this.#groupId] };
  }

  #forget(link: BrokerLink | undefined): void {
    if (link === undefined || link === this.#link) this.#isKnown = false;
  }

  /** Gives the call up when the coordinator does not answer a question, or answers that it is another broker. */
  async #probed<Response>(
    channel: RpcChannel,
    options: GroupCallOptions,
    call: (signal: AbortSignal) => Promise<Response>,
  ): Promise<Response> {
    const { timers } = this.#cluster.runtime;
    const giveUp = new AbortController();
    const onAbort = (): void => giveUp.abort(options.signal?.reason);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    let timer: Timer | undefined;
    let isOver = false;
    const schedule = (): void => {
      timer = timers.after(this.#probeIntervalMs, () => {
        const askedAtMs = this.#cluster.nowMs();
        this.#probe(channel).then(
          () => {
            options.onAlive?.(askedAtMs);
            if (!isOver) schedule();
          },
          (error: KafkaError) => giveUp.abort(error),
        );
      });
    };
    schedule();
    try {
      return await call(giveUp.signal);
    } catch (error) {
      throw giveUp.signal.aborted ? giveUp.signal.reason : error;
    } finally {
      isOver = true;
      timer?.cancel();
      options.signal?.removeEventListener('abort', onAbort);
    }
  }

  async #probe(channel: RpcChannel): Promise<void> {
    let found: groups.Coordinator;
    try {
      const options = { timeoutMs: probeTimeoutMs };
      found = coordinatorIn(await channel.call(groupMethods.findCoordinator, this.#question(), options));
    } catch (cause) {
      throw new DisconnectError('the group coordinator does not answer', { broker: this.#nodeId, cause });
    }
    if (found.nodeId === this.#nodeId) return;
    throw new NotCoordinatorError(`the group is coordinated by broker ${found.nodeId} now`, { broker: this.#nodeId });
  }
}

function coordinatorIn(answer: groups.FindCoordinatorResponse): groups.Coordinator {
  const [found] = answer.coordinators;
  if (found === undefined) throw new RetriableError('no coordinator in the answer');
  if (found.errorCode !== 0) throw errorFromCode(found.errorCode, found.errorMessage);
  return found;
}
