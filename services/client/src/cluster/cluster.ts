import { type broker, brokerMethods, createRpc, type Rpc, RpcError, type UnaryMethod } from '@naru/rpc';
import { type Address, formatAddress, type Runtime, sleep, type Timer } from '@naru/runtime';
import type { CommonConfig } from '../config.ts';
import {
  DisconnectError,
  IllegalStateError,
  type KafkaError,
  NetworkError,
  TimeoutError,
  UnknownTopicOrPartitionError,
} from '../errors.ts';
import { errorFromCode, errorFromRpc } from '../errors-from-wire.ts';
import type { ClientLogger } from '../logger.ts';
import { parseBootstrapServers } from './addresses.ts';
import { backoffMs } from './backoff.ts';
import { BrokerLink } from './broker-link.ts';
import {
  applyLeaderHint,
  applyMetadata,
  type BrokerInfo,
  emptyImage,
  type MetadataImage,
  type PartitionInfo,
  type TopicInfo,
} from './metadata.ts';
import { Waiters, type WaitOptions } from './waiters.ts';

/** One broker has this long to answer a request that any broker can answer before the next one is asked. */
const metadataAttemptMs = 2_000;
/**
 * While a partition has no leader, metadata is asked for this often at the shortest pause; only a longer outage is met with longer
 * pauses. An election takes about a second, and writes should resume right after it.
 */
const quickRefreshesMax = 30;

/** Which broker a call goes to; undefined: not known at the moment. */
export type Target = (image: MetadataImage) => BrokerInfo | undefined;

export interface TopicOptions {
  /** Wait until the topic has this many partitions; at least 1. */
  readonly partitionsMin?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What one producer, consumer or admin knows of the cluster, and its connections to it. Metadata is fetched when somebody
 * needs it, at most once at a time, and again when it is too old or was proved wrong.
 */
export class Cluster {
  readonly runtime: Runtime;
  readonly config: CommonConfig;
  readonly logger: ClientLogger;
  /** Called once when it is closed. */
  onClosed: (() => void) | undefined;
  readonly #rpc: Rpc;
  readonly #bootstrap: readonly Address[];
  readonly #links = new Map<string, BrokerLink>();
  readonly #tracked = new Set<string>();
  readonly #waiters: Waiters;
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  #image: MetadataImage = emptyImage;
  #refreshWanted = false;
  #isRefreshing = false;
  #nextRefreshMs = 0;
  #fruitlessRefreshes = 0;
  #rotation = 0;
  #lastError: KafkaError | undefined;
  #isOutageKnown = false;
  #ageTimer: Timer | undefined;

  /** Connects to nothing yet. Throws `ConfigError` when the bootstrap servers cannot be read. */
  constructor(runtime: Runtime, config: CommonConfig, logger: ClientLogger) {
    this.runtime = runtime;
    this.config = config;
    this.logger = logger;
    this.#bootstrap = parseBootstrapServers(config['bootstrap.servers']);
    this.#rpc = createRpc(runtime);
    this.#waiters = new Waiters(runtime);
  }

  get image(): MetadataImage {
    return this.#image;
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  nowMs(): number {
    return this.runtime.clock.monotonicMs();
  }

  partition(topic: string, partition: number): PartitionInfo | undefined {
    return this.#image.topics.get(topic)?.partitions[partition];
  }

  /** The connection to a broker's current address; undefined for a broker that the metadata does not name. */
  link(brokerId: number): BrokerLink | undefined {
    const info = this.#image.brokers.get(brokerId);
    return info === undefined || this.isClosed ? undefined : this.#linkTo(info);
  }

  /** Keeps the topic's metadata fresh from now on. */
  track(topic: string): void {
    this.#tracked.add(topic);
  }

  untrack(topic: string): void {
    this.#tracked.delete(topic);
  }

  /** Called after every refresh, successful or not. Returns how to stop it. */
  onRefresh(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The metadata was proved wrong or incomplete: fetch it soon. Calls until then are one. */
  requestRefresh(): void {
    this.#refreshWanted = true;
    if (this.#isRefreshing || this.isClosed) return;
    this.#isRefreshing = true;
    void this.#refreshWhileWanted();
  }

  /** A broker keeps a request waiting: the others are asked first what has become of it, because this one may keep that waiting too. */
  suspect(brokerId: number): void {
    const info = this.#image.brokers.get(brokerId);
    if (info !== undefined) this.#linkTo(info).isSuspect = true;
    this.requestRefresh();
  }

  /** A broker that refused a request named the leader (KIP-951). True when that was news. */
  applyLeaderHint(hint: { topic: string; partition: number; leaderId: number; leaderEpoch: number }): boolean {
    const next = applyLeaderHint(this.#image, hint);
    const isNews = next !== this.#image;
    this.#image = next;
    return isNews;
  }

  /**
   * The topic's metadata, waited for until `deadlineMs` of the monotonic clock. Fails with `UnknownTopicOrPartitionError`, `InvalidTopicError`,
   * an authorization error, or `NetworkError` that names every address that was tried.
   */
  topic(name: string, deadlineMs: number, options: TopicOptions = {}): Promise<TopicInfo> {
    this.track(name);
    const partitionsMin = Math.max(1, options.partitionsMin ?? 1);
    const known = this.#image.topics.get(name);
    if (known !== undefined && known.partitions.length >= partitionsMin) return Promise.resolve(known);
    const check = (): TopicInfo | undefined => this.#checkTopic(name, partitionsMin);
    const late = (): KafkaError => this.#missingTopic(name, partitionsMin);
    return this.#waitUntil(check, { deadlineMs, late, signal: options.signal });
  }

  /** Resolves after the next refresh, whatever it brought; fails at the deadline or when closed. */
  nextRefresh(deadlineMs: number, signal?: AbortSignal): Promise<void> {
    let isFirst = true;
    const check = (): true | undefined => {
      if (!isFirst) return true;
      isFirst = false;
      return undefined;
    };
    const late = (): KafkaError => this.#lastError ?? new TimeoutError('no metadata was received in time');
    return this.#waitUntil(check, { deadlineMs, late, signal }).then(() => undefined);
  }

  /** Metadata straight from a broker; also brings the image up to date. */
  async fetchMetadata(request: broker.MetadataRequest): Promise<broker.MetadataResponse> {
    const answer = await this.callAny(brokerMethods.metadata, request);
    this.#apply(answer);
    return answer;
  }

  /** A unary call that any broker can answer, to one after the other until one does. Fails with a `NetworkError` that names them all. */
  async callAny<Request, Response>(method: UnaryMethod<Request, Response>, request: Request): Promise<Response> {
    const failures: string[] = [];
    for (const link of this.#candidates()) {
      try {
        const channel = await link.connect();
        const answer = await channel.call(method, request, { timeoutMs: metadataAttemptMs });
        link.confirm();
        return answer;
      } catch (error) {
        if (this.isClosed) throw closedError();
        if (error instanceof RpcError && error.code === 'deadline-exceeded') link.isSuspect = true;
        failures.push(`${formatAddress(link.address)} (${whyNot(error)})`);
      }
    }
    throw new NetworkError(`no broker could be reached: ${failures.join(', ')}`, { outcome: 'definite' });
  }

  /** The same, tried again until the deadline. */
  async metadataBy(request: broker.MetadataRequest, deadlineMs: number): Promise<broker.MetadataResponse> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.fetchMetadata(request);
      } catch (error) {
        const pauseMs = this.retryPauseMs(attempt);
        if (this.isClosed || this.nowMs() + pauseMs >= deadlineMs) throw errorFromRpc(error);
        await sleep(this.runtime.timers, pauseMs, this.#closing.signal);
      }
    }
  }

  /**
   * A unary call to the broker that `target` names. `check` may return an error found in the answer. What is retriable is tried again,
   * with fresh metadata, until the deadline.
   */
  async call<Request, Response>(
    target: Target,
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: { readonly deadlineMs: number; readonly check?: (answer: Response) => KafkaError | undefined },
  ): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      const info = target(this.#image);
      if (info === undefined) {
        await this.nextRefresh(options.deadlineMs);
        continue;
      }
      let error: KafkaError | undefined;
      try {
        const answer = await this.#callOnce(info, method, request, options.deadlineMs);
        error = options.check?.(answer);
        if (error === undefined) return answer;
      } catch (cause) {
        error = errorFromRpc(cause, { broker: info.id });
      }
      const pauseMs = this.retryPauseMs(attempt);
      if (!error.retriable || this.nowMs() + pauseMs >= options.deadlineMs) throw error;
      this.requestRefresh();
      await sleep(this.runtime.timers, pauseMs, this.#closing.signal);
    }
  }

  /** One attempt at one broker. Fails with a `KafkaError`. */
  async callOnce<Request, Response>(
    brokerId: number,
    method: UnaryMethod<Request, Response>,
    request: Request,
    deadlineMs: number,
  ): Promise<Response> {
    const info = this.#image.brokers.get(brokerId);
    if (info === undefined)
      throw new DisconnectError(`broker ${brokerId} is not known`, { broker: brokerId, outcome: 'definite' });
    try {
      return await this.#callOnce(info, method, request, deadlineMs);
    } catch (error) {
      throw errorFromRpc(error, { broker: brokerId });
    }
  }

  /** `retry.backoff.ms`, doubled with each attempt up to `retry.backoff.max.ms`. */
  retryPauseMs(attempt: number): number {
    const { config, runtime } = this;
    return backoffMs(attempt, config['retry.backoff.ms'], config['retry.backoff.max.ms'], runtime.random);
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.#closing.abort(closedError());
    this.#ageTimer?.cancel();
    this.#waiters.failAll(closedError);
    this.onClosed?.();
    await Promise.all([...this.#links.values()].map((link) => link.close()));
  }

  async #callOnce<Request, Response>(
    info: BrokerInfo,
    method: UnaryMethod<Request, Response>,
    request: Request,
    deadlineMs: number,
  ): Promise<Response> {
    const link = this.#linkTo(info);
    const channel = await link.connect();
    const timeoutMs = Math.max(1, Math.min(this.config['request.timeout.ms'], deadlineMs - this.nowMs()));
    const answer = await channel.call(method, request, { timeoutMs });
    link.confirm();
    return answer;
  }

  #linkTo(address: Address): BrokerLink {
    const key = formatAddress(address);
    let link = this.#links.get(key);
    if (link === undefined) {
      link = new BrokerLink(this.runtime, this.#rpc, address, {
        connectTimeoutMs: this.config['socket.connection.setup.timeout.ms'],
        backoffMs: this.config['reconnect.backoff.ms'],
        backoffMaxMs: this.config['reconnect.backoff.max.ms'],
      });
      this.#links.set(key, link);
    }
    return link;
  }

  /**
   * Whom to ask for metadata: open connections, then brokers that are known, then the bootstrap list in its order; who failed
   * lately comes last. The start rotates, because a broker that is cut off from the coordinator answers in good faith with
   * what it last heard.
   */
  #candidates(): readonly BrokerLink[] {
    const known = [...this.#image.brokers.values()].map((info) => this.#linkTo(info));
    const start = known.length === 0 ? 0 : this.#rotation++ % known.length;
    const rotated = [...known.slice(start), ...known.slice(0, start)];
    const all = [...new Set([...rotated, ...this.#bootstrap.map((address) => this.#linkTo(address))])];
    const rank = (link: BrokerLink): number => {
      if (link.isSuspect) return 3;
      if (link.channel !== undefined) return 0;
      return link.pauseMs === 0 ? 1 : 2;
    };
    return all.sort((a, b) => rank(a) - rank(b));
  }

  async #refreshWhileWanted(): Promise<void> {
    while (this.#refreshWanted && !this.isClosed) {
      try {
        const pauseMs = this.#nextRefreshMs - this.nowMs();
        if (pauseMs > 0) await sleep(this.runtime.timers, pauseMs, this.#closing.signal);
        this.#refreshWanted = false;
        await this.fetchMetadata({ topics: [...this.#tracked], allTopics: false });
        this.#lastError = undefined;
        this.#isOutageKnown = false;
      } catch (error) {
        if (this.isClosed) return;
        this.#fruitlessRefreshes++;
        this.#lastError = errorFromRpc(error);
        this.#logFailure(error);
      }
      this.#nextRefreshMs = this.nowMs() + this.#refreshSpacingMs();
      this.#waiters.settle();
      for (const listener of [...this.#listeners]) listener();
      if (this.#waiters.size > 0) this.#refreshWanted = true;
    }
    // In the turn in which nothing more was wanted: who was just answered may want the next thing before any promise tells that this has ended.
    this.#isRefreshing = false;
  }

  /** Once for an outage; the attempts that follow say the same. */
  #logFailure(error: unknown): void {
    const level = this.#isOutageKnown ? 'debug' : 'warn';
    this.#isOutageKnown = true;
    const reason = error instanceof Error ? error.message : String(error);
    this.logger[level]({ reason }, 'metadata could not be refreshed');
  }

  #refreshSpacingMs(): number {
    return this.retryPauseMs(Math.max(1, this.#fruitlessRefreshes - quickRefreshesMax));
  }

  #apply(answer: broker.MetadataResponse): void {
    const before = this.#image;
    const next = applyMetadata(before, answer);
    const isSame = [...next.topics.values()].every((topic) => {
      const old = before.topics.get(topic.name);
      return (
        old?.topicId === topic.topicId &&
        old.partitions.length === topic.partitions.length &&
        topic.partitions.every((p, i) => p.leaderEpoch === old.partitions[i]?.leaderEpoch)
      );
    });
    this.#fruitlessRefreshes = isSame ? this.#fruitlessRefreshes + 1 : 0;
    this.#image = next;
    this.#dropUnusedLinks();
    this.#ageTimer?.cancel();
    if (this.isClosed) return;
    const maxAgeMs = this.config['metadata.max.age.ms'];
    this.#ageTimer = this.runtime.timers.after(maxAgeMs, () => this.requestRefresh());
  }

  /** A broker that came back on another address leaves its old link behind. */
  #dropUnusedLinks(): void {
    const used = new Set([...this.#bootstrap, ...this.#image.brokers.values()].map(formatAddress));
    for (const [key, link] of this.#links) {
      if (used.has(key)) continue;
      this.#links.delete(key);
      void link.close();
    }
  }

  #checkTopic(name: string, partitionsMin: number): TopicInfo | undefined {
    const topic = this.#image.topics.get(name);
    if (topic !== undefined && topic.partitions.length >= partitionsMin) return topic;
    const code = this.#image.topicErrors.get(name);
    if (code === undefined) return undefined;
    const error = errorFromCode(code, '', { topic: name });
    if (!error.retriable) throw error;
    return undefined;
  }

  #missingTopic(name: string, partitionsMin: number): KafkaError {
    if (this.#lastError !== undefined) return this.#lastError;
    const count = this.#image.topics.get(name)?.partitions.length;
    if (count !== undefined) {
      const message = `topic ${name} has ${count} partitions, there is no partition ${partitionsMin - 1}`;
      return new UnknownTopicOrPartitionError(message, { topic: name, partition: partitionsMin - 1 });
    }
    return new UnknownTopicOrPartitionError(`topic ${name} does not exist`, { topic: name });
  }

  #waitUntil<T>(check: () => T | undefined, options: WaitOptions): Promise<T> {
    if (this.isClosed) return Promise.reject(closedError());
    const found = this.#waiters.waitUntil(check, options);
    if (this.#waiters.size > 0) this.requestRefresh();
    return found;
  }
}

function closedError(): KafkaError {
  return new IllegalStateError('the client is closed');
}

/** Why an address is of no use, in a user's words. */
function whyNot(error: unknown): string {
  if (error instanceof RpcError && error.code === 'unimplemented') return 'it speaks gRPC and is no broker';
  return error instanceof Error ? error.message : String(error);
}
