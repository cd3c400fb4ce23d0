import type { CoordinatorError, CoordinatorSession, WriteOperation, Zxid } from '@naru/coordinator-client';
import { isCoordinatorError } from './coordinator-errors.ts';
import type { TopicImage } from './metadata-image.ts';
import type { Member, PartitionState } from './partition-state.ts';
import { encodePartitionState } from './partition-state-codec.ts';
import { paths } from './znode-paths.ts';

export interface IsrChange {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  /** `PartitionImage.stateVersion` of the state that the change was decided on. */
  readonly expectedVersion: number;
  readonly state: PartitionState;
  /** The leader's own incarnation: a leader whose registration is gone writes nothing (R7). */
  readonly self: Member;
  /** Members of the new ISR that were not in the old one: each must still be registered as this incarnation (rows 9, 10; KIP-903). */
  readonly added: readonly Member[];
}

/**
 * - `conflict`: somebody, normally the controller, wrote the state meanwhile; wait for the new state and decide again (row 24).
 * - `added-member-gone`: `member` is not registered with this epoch any more.
 * - `not-registered`: the leader's own incarnation is over; it must stop leading.
 * - `topic-gone`: the topic was deleted, whether or not there is another of its name (row 18).
 * - `unknown-outcome`: the session ended before an answer came. The change stays proposed until the metadata tells (row 6).
 */
export type IsrChangeResult =
  | { readonly ok: true; readonly version: number; readonly zxid: Zxid }
  | { readonly ok: false; readonly reason: 'conflict' | 'not-registered' | 'topic-gone' | 'unknown-outcome' }
  | { readonly ok: false; readonly reason: 'added-member-gone'; readonly member: Member };

/** What `replication/` asks of the cluster; `PartitionStateWriter` fulfils it. */
export interface IsrWriter {
  changeIsr(change: IsrChange): Promise<IsrChangeResult>;
}

/**
 * Writes ISR changes as compare-and-set on the state's version. A lost connection leaves the outcome open, and reading would not settle it, for the write may still
 * be under way to the same coordinator; trying the same compare-and-set again does: either it succeeds, and then the first attempt never will,
 * or the version has moved, and the state that is there now tells whose write it was.
 */
export class PartitionStateWriter implements IsrWriter {
  readonly #session: () => CoordinatorSession | undefined;
  readonly #topic: (name: string) => Pick<TopicImage, 'id' | 'czxid'> | undefined;

  /** `session` gives the current session, undefined while there is none; `topic` what the metadata say. */
  constructor(
    session: () => CoordinatorSession | undefined,
    topic: (name: string) => Pick<TopicImage, 'id' | 'czxid'> | undefined,
  ) {
    this.#session = session;
    this.#topic = topic;
  }

  async changeIsr(change: IsrChange): Promise<IsrChangeResult> {
    const session = this.#session();
    if (session === undefined) return { ok: false, reason: 'not-registered' };
    const topic = this.#topic(change.topic);
    if (topic?.id !== change.topicId) return { ok: false, reason: 'topic-gone' };
    const operations = operationsOf(change, topic.czxid);
    let wasLost = false;
    for (;;) {
      try {
        const { zxid } = await session.write(operations);
        return { ok: true, version: change.expectedVersion + 1, zxid };
      } catch (error) {
        if (!isCoordinatorError(error)) throw error;
        if (error.code !== 'connection-loss') return this.#refused(session, change, operations, error, wasLost);
        wasLost = true;
      }
    }
  }

  async #refused(
    session: CoordinatorSession,
    change: IsrChange,
    operations: readonly WriteOperation[],
    error: CoordinatorError,
    wasLost: boolean,
  ): Promise<IsrChangeResult> {
    if (error.code === 'session-expired') {
      return { ok: false, reason: wasLost ? 'unknown-outcome' : 'not-registered' };
    }
    if (error.code !== 'bad-version' && error.code !== 'no-node') throw error;
    if (wasLost) {
      const earlier = await this.#earlierAttempt(session, change);
      if (earlier !== undefined) return earlier;
    }
    if (error.failedIndex === 0) return { ok: false, reason: 'not-registered' };
    const member = change.added[error.failedIndex - 1];
    if (member !== undefined) return { ok: false, reason: 'added-member-gone', member };
    const isOver = error.code === 'no-node' || error.failedIndex < operations.length - 1;
    return { ok: false, reason: isOver ? 'topic-gone' : 'conflict' };
  }

  /** What came of an attempt whose answer was lost, once a later attempt was refused: nothing of ours is under way any more. */
  async #earlierAttempt(session: CoordinatorSession, change: IsrChange): Promise<IsrChangeResult | undefined> {
    try {
      const node = await session.getData(paths.partitionState(change.topic, change.partition));
      if (node === undefined || node.stat.version === change.expectedVersion) return undefined;
      const ours = Buffer.compare(node.data, encodePartitionState(change.state)) === 0;
      if (node.stat.version === change.expectedVersion + 1 && ours) {
        return { ok: true, version: node.stat.version, zxid: node.stat.mzxid };
      }
      // Later versions may stand upon ours: the watch delivers them all, and the leader decides by what it then sees.
      return { ok: false, reason: 'conflict' };
    } catch (error) {
      if (isCoordinatorError(error, 'session-expired')) return { ok: false, reason: 'unknown-outcome' };
      throw error;
    }
  }
}

/**
 * The version alone would not do: 1. a leader proposes on version 0 and loses its connection; 2. the topic is deleted and created again, and a state is
 * written: version 0; 3. the proposal arrives, and makes the old topic's leader the new one's, in the same epoch (R5).
 */
function operationsOf(change: IsrChange, topicCzxid: Zxid): readonly WriteOperation[] {
  return [
    ...[change.self, ...change.added].map(
      (member): WriteOperation => ({ kind: 'check', path: paths.broker(member.brokerId), czxid: member.brokerEpoch }),
    ),
    { kind: 'check', path: paths.topic(change.topic), czxid: topicCzxid },
    {
      kind: 'set-data',
      path: paths.partitionState(change.topic, change.partition),
      data: encodePartitionState(change.state),
      version: change.expectedVersion,
    },
  ];
}
