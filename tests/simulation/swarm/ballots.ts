import type { Runtime, Store, StoreOperation } from '@naru/runtime';

/** What a coordinator writes down of its part in elections. */
export interface Ballot {
  readonly term: number;
  /** 0: nobody yet. */
  readonly vote: number;
}

export interface BallotObserver {
  /** Before it is on the disk, which waits for the promise. */
  writing(voter: number, ballot: Ballot): Promise<void> | undefined;
  /** Durable; the answer to the candidate leaves in this event. */
  written(voter: number, ballot: Ballot): void;
}

/** Sees what coordinators vote, in what they write to their stores. */
export class Ballots {
  readonly #last = new Map<number, Ballot>();
  /** One at a time. */
  observer: BallotObserver | undefined;

  guard(voter: number, runtime: Runtime): Runtime {
    const { stores } = runtime;
    return { ...runtime, stores: { open: async (path) => this.#guardStore(voter, await stores.open(path)) } };
  }

  #guardStore(voter: number, store: Store): Store {
    const batch: Store['batch'] = async (operations, options) => {
      const ballot = ballotIn(operations);
      const last = this.#last.get(voter);
      if (ballot === undefined || (ballot.term === last?.term && ballot.vote === last.vote)) {
        return store.batch(operations, options);
      }
      this.#last.set(voter, ballot);
      await this.observer?.writing(voter, ballot);
      await store.batch(operations, options);
      this.observer?.written(voter, ballot);
    };
    return {
      get: (key) => store.get(key),
      batch,
      entries: (range) => store.entries(range),
      close: () => store.close(),
    };
  }
}

/** Four bytes of checksum, then JSON: decoded here once more, as the checkers do. */
function ballotIn(operations: readonly StoreOperation[]): Ballot | undefined {
  const put = operations.find((operation) => operation.kind === 'put' && operation.key === 'state');
  return put?.kind === 'put' ? JSON.parse(Buffer.from(put.value.subarray(4)).toString()) : undefined;
}
