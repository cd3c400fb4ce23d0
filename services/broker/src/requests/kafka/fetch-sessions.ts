import { errorCodes } from '@naru/kafka-protocol';

/** Kafka's max.incremental.fetch.session.cache.slots and min.incremental.fetch.session.eviction.ms. */
const sessionsMax = 1_000;
const evictionMsMin = 120_000;
/** Partitions of all sessions together. */
const partitionsMax = 200_000;

const noSession = 0;
/** Session epochs with a meaning (KIP-227): a session is asked for; none is wanted, or no longer. */
const initialEpoch = 0;
const finalEpoch = -1;
const idMax = 0x7fffffff;

/** What a client wants of a partition, and what it was told last. */
export interface SessionPartition {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  currentLeaderEpoch: number;
  fetchOffset: number;
  lastFetchedEpoch: number;
  partitionMaxBytes: number;
  highWatermark: number;
  logStartOffset: number;
}

interface AskedTopic {
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: readonly Pick<
    SessionPartition,
    'partition' | 'currentLeaderEpoch' | 'fetchOffset' | 'lastFetchedEpoch' | 'partitionMaxBytes'
  >[];
}

interface SessionRequest {
  readonly sessionId: number;
  readonly sessionEpoch: number;
  readonly topics: readonly AskedTopic[];
  readonly forgottenTopics: readonly {
    readonly topic: string;
    readonly topicId: string;
    readonly partitions: readonly number[];
  }[];
}

/** What one request has to fetch, in order, and in which session it does. */
export interface FetchPlan {
  readonly kind: 'fetch';
  readonly partitions: readonly SessionPartition[];
  readonly session: FetchSession | undefined;
  /** Only what has changed is answered. */
  readonly isIncremental: boolean;
}

/** One client's list of partitions, so that it need not send it again and again. */
export class FetchSession {
  readonly id: number;
  readonly usesTopicIds: boolean;
  /** Of the next request. */
  epoch = 1;
  lastUsedMs: number;
  readonly partitions = new Map<string, SessionPartition>();

  constructor(id: number, usesTopicIds: boolean, nowMs: number) {
    this.id = id;
    this.usesTopicIds = usesTopicIds;
    this.lastUsedMs = nowMs;
  }

  /**
   * Whether an incremental answer has to hold the partition, and remembers what it tells. Partitions with records go to the end of the list: whoever got something
   * now does not come first again.
   */
  tells(partition: SessionPartition, answer: Told): boolean {
    const isChanged =
      answer.errorCode !== errorCodes.NONE ||
      answer.hasRecords ||
      answer.isDiverging ||
      answer.highWatermark !== partition.highWatermark ||
      answer.logStartOffset !== partition.logStartOffset;
    // What had an error is told again when it has none.
    const isFailed = answer.errorCode !== errorCodes.NONE;
    partition.highWatermark = isFailed ? -1 : answer.highWatermark;
    partition.logStartOffset = isFailed ? -1 : answer.logStartOffset;
    const key = keyOf(partition);
    if (answer.hasRecords && this.partitions.get(key) === partition) {
      this.partitions.delete(key);
      this.partitions.set(key, partition);
    }
    return isChanged;
  }
}

export interface Told {
  readonly errorCode: number;
  readonly hasRecords: boolean;
  readonly isDiverging: boolean;
  readonly highWatermark: number;
  readonly logStartOffset: number;
}

/**
 * Fetch sessions (KIP-227) of all clients of this broker. Bounded: when all places are taken by sessions that are in use, a client gets none, and sends
 * whole requests.
 */
export class FetchSessions {
  readonly #nowMs: () => number;
  readonly #randomInt: (maxExclusive: number) => number;
  /** The least recently used first. */
  readonly #sessions = new Map<number, FetchSession>();
  #partitionsCount = 0;

  constructor(nowMs: () => number, randomInt: (maxExclusive: number) => number) {
    this.#nowMs = nowMs;
    this.#randomInt = randomInt;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** What to fetch for a request, or the code with which the whole of it is refused. */
  plan(
    request: SessionRequest,
    usesTopicIds: boolean,
  ): FetchPlan | { readonly kind: 'refused'; readonly errorCode: number } {
    const { sessionId, sessionEpoch } = request;
    if (sessionEpoch === finalEpoch || sessionEpoch === initialEpoch) {
      this.#remove(sessionId);
      const partitions = partitionsOf(request.topics);
      const session = sessionEpoch === initialEpoch ? this.#open(partitions, usesTopicIds) : undefined;
      return { kind: 'fetch', partitions, session, isIncremental: false };
    }
    const session = this.#sessions.get(sessionId);
    if (session === undefined) {
      const code = sessionId === noSession ? 'INVALID_FETCH_SESSION_EPOCH' : 'FETCH_SESSION_ID_NOT_FOUND';
      return { kind: 'refused', errorCode: errorCodes[code] };
    }
    if (session.usesTopicIds !== usesTopicIds) return { kind: 'refused', errorCode: fetchSessionTopicIdError };
    if (session.epoch !== sessionEpoch) {
      return { kind: 'refused', errorCode: errorCodes.INVALID_FETCH_SESSION_EPOCH };
    }
    this.#update(session, request);
    return { kind: 'fetch', partitions: [...session.partitions.values()], session, isIncremental: true };
  }

  #open(partitions: readonly SessionPartition[], usesTopicIds: boolean): FetchSession | undefined {
    // Without partitions there is nothing to spare a client.
    if (partitions.length === 0 || !this.#makeRoom(partitions.length)) return undefined;
    let id: number;
    do id = 1 + this.#randomInt(idMax);
    while (this.#sessions.has(id));
    const session = new FetchSession(id, usesTopicIds, this.#nowMs());
    for (const partition of partitions) session.partitions.set(keyOf(partition), partition);
    this.#partitionsCount += session.partitions.size;
    this.#sessions.set(id, session);
    return session;
  }

  #makeRoom(partitions: number): boolean {
    if (partitions > partitionsMax) return false;
    const nowMs = this.#nowMs();
    for (const session of this.#sessions.values()) {
      if (this.#sessions.size < sessionsMax && this.#partitionsCount + partitions <= partitionsMax) return true;
      if (nowMs - session.lastUsedMs < evictionMsMin) return false;
      this.#remove(session.id);
    }
    return true;
  }

  #update(session: FetchSession, { topics, forgottenTopics }: SessionRequest): void {
    const before = session.partitions.size;
    for (const asked of partitionsOf(topics)) {
      const known = session.partitions.get(keyOf(asked));
      if (known === undefined) session.partitions.set(keyOf(asked), asked);
      else {
        const { fetchOffset, currentLeaderEpoch, lastFetchedEpoch, partitionMaxBytes } = asked;
        Object.assign(known, { fetchOffset, currentLeaderEpoch, lastFetchedEpoch, partitionMaxBytes });
      }
    }
    for (const { topic, topicId, partitions } of forgottenTopics) {
      for (const partition of partitions) session.partitions.delete(keyOf({ topic, topicId, partition }));
    }
    this.#partitionsCount += session.partitions.size - before;
    session.epoch = session.epoch === idMax ? 1 : session.epoch + 1;
    session.lastUsedMs = this.#nowMs();
    this.#sessions.delete(session.id);
    this.#sessions.set(session.id, session);
    // Grown beyond what all may have: this answer is still given, the next request learns that the session is gone.
    if (this.#partitionsCount > partitionsMax) this.#remove(session.id);
  }

  #remove(id: number): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    this.#partitionsCount -= session.partitions.size;
  }
}

/** FETCH_SESSION_TOPIC_ID_ERROR: a session is by names or by ids. Only clients of Kafka's protocol can meet it. */
const fetchSessionTopicIdError = 106;

function keyOf({ topic, topicId, partition }: Pick<SessionPartition, 'topic' | 'topicId' | 'partition'>): string {
  return `${topic}\n${topicId}\n${partition}`;
}

function partitionsOf(topics: readonly AskedTopic[]): SessionPartition[] {
  return topics.flatMap(({ topic, topicId, partitions }) =>
    partitions.map(({ partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch, partitionMaxBytes }) => ({
      topic,
      topicId,
      partition,
      currentLeaderEpoch,
      fetchOffset,
      lastFetchedEpoch,
      partitionMaxBytes,
      // No broker says so: the first answer tells everything.
      highWatermark: -1,
      logStartOffset: -1,
    })),
  );
}
