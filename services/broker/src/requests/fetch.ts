import type { broker } from '@naru/rpc';
import { FetchSession, type FetchSessionOptions } from './fetch-session.ts';

/** A fetch of Kafka's protocol, whose own sessions know what to ask for. */
export type SingleFetch = Omit<broker.FetchRequest, 'wantData' | 'forgotten'>;

/**
 * Fetch: whole batches from the asked offset up to the high watermark (C9). `FetchSession` has what is answered, and when.
 *
 * - The first batch comes even when it is larger than every limit (KIP-74).
 * - read_committed is read_uncommitted while there are no transactions.
 */
export class FetchHandler {
  readonly #options: Omit<FetchSessionOptions, 'send'>;

  constructor(options: Omit<FetchSessionOptions, 'send'>) {
    this.#options = options;
  }

  open(send: FetchSessionOptions['send']): FetchSession {
    return new FetchSession({ ...this.#options, send });
  }

  /** `done` is called once, with an answer for every partition in any order, unless the function that is returned gives the request up before. */
  handle(request: SingleFetch, done: (answers: broker.PartitionFetched[]) => void): () => void {
    const session = this.open((answers) => {
      session.close();
      done(answers);
    });
    session.handle({ ...request, wantData: true, forgotten: [] });
    return () => session.close();
  }
}
