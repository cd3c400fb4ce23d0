import { Watchers } from './waiters.ts';

/**
 * Where the logs of a led partition's followers begin, as their fetches say. Whoever deletes records waits for all live replicas (KIP-107): one that has
 * not heard of it would bring the records back when it leads.
 */
export class FollowerLogStarts {
  readonly watchers = new Watchers();
  /** By broker id, with the incarnation that said so. */
  readonly #starts = new Map<number, { readonly brokerEpoch: number; readonly logStartOffset: number }>();

  fetched(brokerId: number, brokerEpoch: number, logStartOffset: number): void {
    const known = this.#starts.get(brokerId);
    if (known?.brokerEpoch === brokerEpoch && known.logStartOffset === logStartOffset) return;
    this.#starts.set(brokerId, { brokerEpoch, logStartOffset });
    this.watchers.wakeAll();
  }

  /** Undefined while this incarnation has not fetched. */
  of(brokerId: number, brokerEpoch: number): number | undefined {
    const known = this.#starts.get(brokerId);
    return known?.brokerEpoch === brokerEpoch ? known.logStartOffset : undefined;
  }

  /** Another role: what was said was said to another leader. */
  forget(): void {
    this.#starts.clear();
    this.watchers.wakeAll();
  }
}
