import type { Logger } from '@naru/observability';
import {
  RpcError,
  type RpcStream,
  type replication,
  replicationMethods,
  type ServiceBinding,
  type StreamEvents,
  stream,
} from '@naru/rpc';
import type { Clock } from '@naru/runtime';
import type { Registrations } from './core/leader-state.ts';
import type { Deadlines } from './deadlines.ts';
import type { Partition } from './partition.ts';
import { ReplicaFetchSession } from './replica-fetch-session.ts';
import type { TurnEnd } from './turn-end.ts';

type Request = replication.ReplicaFetchRequest;
type Response = replication.ReplicaFetchResponse;

/** What it needs of the set of partitions. */
export interface ReplicaSource {
  readonly registrations: Registrations;
  partitionById(topicId: string, partition: number): Partition | undefined;
}

export interface ReplicaFetchServerOptions {
  readonly source: ReplicaSource;
  readonly deadlines: Deadlines;
  readonly turnEnd: TurnEnd;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Serves the fetch streams of this broker's followers. */
export class ReplicaFetchServer {
  readonly #options: ReplicaFetchServerOptions;
  readonly #streams = new Map<number, FollowerStream>();

  constructor(options: ReplicaFetchServerOptions) {
    this.#options = options;
  }

  binding(): ServiceBinding {
    return stream(replicationMethods.fetch, (opened) => {
      const follower = new FollowerStream(opened, this.#options, (replicaId) => this.#introduced(replicaId, follower));
      opened.handle(follower);
    });
  }

  /**
   * One stream per follower: what an older connection of it still delivers would look as if its log had become shorter.
   */
  #introduced(replicaId: number, follower: FollowerStream): void {
    const before = this.#streams.get(replicaId);
    this.#streams.set(replicaId, follower);
    before?.fail('aborted', 'another stream of this follower took its place');
  }
}

/** A follower's stream, and whether it may speak. */
class FollowerStream implements StreamEvents<Request> {
  readonly #stream: RpcStream<Response, Request>;
  readonly #options: ReplicaFetchServerOptions;
  readonly #introduce: (replicaId: number) => void;
  readonly #session: ReplicaFetchSession;
  #follower: Pick<Request, 'replicaId' | 'brokerEpoch'> | undefined;
  #isClosed = false;

  constructor(
    opened: RpcStream<Response, Request>,
    options: ReplicaFetchServerOptions,
    introduce: (replicaId: number) => void,
  ) {
    this.#stream = opened;
    this.#options = options;
    this.#introduce = introduce;
    const { source, deadlines, turnEnd, clock } = options;
    this.#session = new ReplicaFetchSession({
      partitionById: (topicId, partition) => source.partitionById(topicId, partition),
      deadlines,
      turnEnd,
      clock,
      send: (partitions) => opened.send({ partitions }),
    });
  }

  /** What cannot be heeded ends the stream: a session that has missed a request would no longer be what the follower has. */
  onMessage(request: Request): void {
    if (this.#isClosed) return;
    const { replicaId, brokerEpoch } = request;
    // A former incarnation, or one that this broker has not heard of yet: it counts for nothing (rows 5, 10).
    if (this.#options.source.registrations.get(replicaId) !== brokerEpoch) {
      this.fail('failed-precondition', `broker ${replicaId} is not known here with epoch ${brokerEpoch}`);
    } else {
      this.#follower ??= this.#introduced(request);
      const { replicaId: knownId, brokerEpoch: knownEpoch } = this.#follower;
      if (replicaId !== knownId || brokerEpoch !== knownEpoch) {
        this.fail('invalid-argument', `a stream of broker ${knownId}, epoch ${knownEpoch}, speaks for no other`);
      } else if (!this.#session.handle(request)) this.fail('resource-exhausted', 'a replica fetch is waiting already');
    }
  }

  #introduced(request: Request): Pick<Request, 'replicaId' | 'brokerEpoch'> {
    this.#introduce(request.replicaId);
    return { replicaId: request.replicaId, brokerEpoch: request.brokerEpoch };
  }

  onEnd(): void {
    this.#close();
    this.#stream.end();
  }

  onClose(): void {
    this.#close();
  }

  fail(code: 'aborted' | 'failed-precondition' | 'invalid-argument' | 'resource-exhausted', reason: string): void {
    if (this.#isClosed) return;
    this.#options.logger.debug({ ...this.#follower, reason }, 'a replica fetch stream is ended');
    this.#stream.fail(new RpcError(code, reason));
    this.#close();
  }

  #close(): void {
    this.#isClosed = true;
    this.#session.close();
  }
}
