import type { CoordinatorError, CoordinatorSession, Stat, WriteOperation, Zxid } from '@naru/coordinator-client';
import type { Logger } from '@naru/observability';
import { isCoordinatorError } from '../cluster/coordinator-errors.ts';
import { paths } from '../cluster/znode-paths.ts';
import {
  type ControllerGuard,
  groupWrites,
  type PartitionKey,
  type PartitionWrite,
  type WriteGroup,
} from './planner.ts';

/** Reads for one refused group; the others' states arrive by the watch with the same change or before it. */
const rereadsMax = 8;

/** Another controller has taken office, or our session is over: nothing of ours may be written any more. */
export class FencedControllerError extends Error {
  override readonly name = 'FencedControllerError';
  readonly code = 'fenced-controller';
}

export interface PlanResult {
  /** Of the last write; the metadata shows all of them from there on. */
  readonly zxid: Zxid;
  /** Their state is another one than the decision was made on (row 24): the change that tells it is on its way, or was seen meanwhile. */
  readonly conflicts: readonly PartitionKey[];
  /** Not written for no fault of theirs: to be decided again. */
  readonly unwritten: readonly PartitionKey[];
}

/** Writes plans. Groups of one plan are under way at the same time: they are about different partitions. Throws `FencedControllerError`. */
export class PlanWriter {
  readonly #session: CoordinatorSession;
  readonly #guard: ControllerGuard;
  readonly #logger: Logger;

  constructor(session: CoordinatorSession, guard: ControllerGuard, logger: Logger) {
    this.#session = session;
    this.#guard = guard;
    this.#logger = logger;
  }

  async writePlan(writes: readonly PartitionWrite[]): Promise<PlanResult> {
    const results = await Promise.all(groupWrites(writes, this.#guard).map((group) => this.#writeGroup(group)));
    return {
      zxid: Math.max(0, ...results.map((result) => result.zxid)),
      conflicts: results.flatMap((result) => result.conflicts),
      unwritten: results.flatMap((result) => result.unwritten),
    };
  }

  /**
   * One multi, with the first operation the check of the epoch. A lost connection is answered by writing the same again: what was under way has either
   * happened, and then the repetition is refused by what it created or by a version, or never will. `isRepeat` tells the caller of a refusal that
   * the first attempt may be the reason.
   */
  async writeMulti(operations: readonly WriteOperation[]): Promise<MultiResult> {
    for (let isRepeat = false; ; isRepeat = true) {
      try {
        return { ok: true, zxid: (await this.#session.write(operations)).zxid };
      } catch (error) {
        if (!isCoordinatorError(error)) throw error;
        if (error.code === 'session-expired') throw new FencedControllerError('the session is over', { cause: error });
        if (error.code === 'connection-loss') continue;
        if (error.failedIndex === 0)
          throw new FencedControllerError('another controller has taken office', { cause: error });
        return { ok: false, error, isRepeat };
      }
    }
  }

  /** Whatever fails in a group is taken out, and the rest is written: one partition's conflict must not hold up the others. */
  async #writeGroup(group: WriteGroup): Promise<PlanResult> {
    const conflicts: PartitionKey[] = [];
    let current: WriteGroup | undefined = group;
    let zxid = 0;
    while (current !== undefined) {
      const result = await this.writeMulti(current.operations);
      if (result.ok) return { zxid: result.zxid, conflicts, unwritten: [] };
      const failed = new Set(failedWrites(current, result.error));
      conflicts.push(...keysOf(failed));
      zxid = Math.max(zxid, ...(await this.#reread([...failed].slice(0, rereadsMax))));
      const rest: readonly PartitionWrite[] = current.writes.filter((write) => !failed.has(write));
      // A repetition is mostly refused by its own first attempt: better to look again than to be refused partition by partition.
      if (result.isRepeat) return { zxid, conflicts, unwritten: keysOf(rest) };
      current = groupWrites(rest, this.#guard, Math.max(1, rest.length))[0];
    }
    return { zxid, conflicts, unwritten: [] };
  }

  /** The zxids from which on the metadata shows what we collided with. */
  async #reread(writes: readonly PartitionWrite[]): Promise<readonly Zxid[]> {
    return Promise.all(
      writes.map(async ({ topic, partition, expectedVersion }) => {
        const stat = await this.#exists(paths.partitionState(topic, partition));
        const fields = { topic, partition, expectedVersion, found: stat?.version };
        this.#logger.info(fields, 'a partition changed while it was decided');
        return stat?.mzxid ?? 0;
      }),
    );
  }

  async #exists(path: string): Promise<Stat | undefined> {
    try {
      return await this.#session.exists(path);
    } catch (error) {
      if (!isCoordinatorError(error, 'session-expired')) throw error;
      throw new FencedControllerError('the session is over', { cause: error });
    }
  }
}

function keysOf(writes: Iterable<PartitionWrite>): readonly PartitionKey[] {
  return [...writes].map(({ topic, partition }) => ({ topic, partition }));
}

export type MultiResult =
  | { readonly ok: true; readonly zxid: Zxid }
  | { readonly ok: false; readonly error: CoordinatorError; readonly isRepeat: boolean };

/** Whose fault it was: the owner of the failed operation, or everyone whose new leader is not registered any more. */
function failedWrites(group: WriteGroup, error: CoordinatorError): readonly PartitionWrite[] {
  const owner = group.owners[error.failedIndex];
  if (owner !== undefined) return [owner];
  const operation = group.operations[error.failedIndex];
  const ofLeader = group.writes.filter((write) => operation?.path === paths.broker(write.after.leader));
  return ofLeader.length > 0 ? ofLeader : group.writes;
}
