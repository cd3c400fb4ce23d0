import type { CoordinatorSession } from '@naru/coordinator-client';
import { assert } from '@naru/runtime';
import { isCoordinatorError } from './coordinator-errors.ts';
import { decodeProducerIdBlock, encodeProducerIdBlock, type ProducerIdBlock } from './producer-id-block.ts';
import { paths } from './znode-paths.ts';

/** Ids that a broker takes at once (Kafka: ProducerIdsBlock). */
export const producerIdBlockSize = 1_000;
/** Rounds of read and compare-and-set; each lost round means that another broker took a block, or that the connection broke. */
const attemptsMax = 20;

/** No block could be had now; the same call may succeed later. */
export class ProducerIdsUnavailableError extends Error {
  override readonly name = 'ProducerIdsUnavailableError';
}

/**
 * Producer ids, each given once in the life of the cluster. A broker takes a block of ids for itself by compare-and-set on one znode, and gives them out from memory.
 * What is left of a block when a broker ends is never used; nor is a block whose write was answered by nothing.
 */
export class ProducerIds {
  readonly #brokerId: number;
  readonly #session: () => CoordinatorSession | undefined;
  #next = 0;
  #end = 0;
  #taking: Promise<void> | undefined;

  /** `session` gives the current session, undefined while there is none. */
  constructor(brokerId: number, session: () => CoordinatorSession | undefined) {
    this.#brokerId = brokerId;
    this.#session = session;
  }

  /** Fails with `ProducerIdsUnavailableError`; what is wrong with the znode itself is thrown as it is. */
  async next(): Promise<number> {
    while (this.#next === this.#end) {
      this.#taking ??= this.#takeBlock().finally(() => {
        this.#taking = undefined;
      });
      await this.#taking;
    }
    return this.#next++;
  }

  async #takeBlock(): Promise<void> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const session = this.#session();
      if (session === undefined) break;
      try {
        const block = await this.#tryBlock(session);
        assert(block.first >= this.#end, `block ${block.first} after ids up to ${this.#end}`);
        this.#next = block.first;
        this.#end = block.last + 1;
        return;
      } catch (error) {
        // After a lost connection the write may still happen: then the version moves, and this block is nobody's.
        if (isCoordinatorError(error, 'bad-version', 'node-exists', 'connection-loss')) continue;
        if (isCoordinatorError(error, 'session-expired')) break;
        throw error;
      }
    }
    throw new ProducerIdsUnavailableError('no block of producer ids could be had from the coordinator');
  }

  async #tryBlock(session: CoordinatorSession): Promise<ProducerIdBlock> {
    const path = paths.producerIdBlock;
    const current = await session.getData(path);
    const first = current === undefined ? 0 : decodeProducerIdBlock(path, current.data).last + 1;
    const block = { brokerId: this.#brokerId, first, last: first + producerIdBlockSize - 1 };
    const data = encodeProducerIdBlock(block);
    await session.write([
      current === undefined
        ? { kind: 'create', path, data }
        : { kind: 'set-data', path, data, version: current.stat.version },
    ]);
    return block;
  }
}
