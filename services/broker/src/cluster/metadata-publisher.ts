import type { CoordinatorSession, WatchChange, WatchListener, Znode, Zxid } from '@naru/coordinator-client';
import type { Logger } from '@naru/observability';
import type { Timers } from '@naru/runtime';
import { applyChanges, applySnapshot } from './metadata-builder.ts';
import { diffImages, isEmptyDelta, type MetadataDelta } from './metadata-delta.ts';
import { emptyImage, type MetadataImage } from './metadata-image.ts';

/** Called synchronously, once for each zxid, in order. It must not throw: a listener that lost a change would act on a wrong picture for ever. */
export type MetadataListener = (image: MetadataImage, delta: MetadataDelta) => void;

/** Waiters at once; each belongs to a request or a write under way. */
const waitersMax = 100_000;

/** A wait that did not come true in time. */
export class MetadataTimeoutError extends Error {
  override readonly name = 'MetadataTimeoutError';
  readonly code = 'metadata-timeout';
}

interface Waiter {
  readonly isDone: (image: MetadataImage) => boolean;
  readonly resolve: (image: MetadataImage) => void;
}

/**
 * The broker's one view of the cluster: watches the coordinator's whole tree and publishes each state of it as an image with what changed. Everything in
 * the broker that depends on the cluster acts on these calls, in the order in which it subscribed: log and replication before
 * the controller, so that what the controller decides is decided on a picture that this broker has already taken in.
 *
 * A session that expired is replaced by `attach(newSession)`: its watch begins with a snapshot, which is compared with the last image like any change (row 25).
 */
export class MetadataPublisher {
  readonly #timers: Timers;
  readonly #logger: Logger;
  readonly #listeners: MetadataListener[] = [];
  readonly #waiters = new Set<Waiter>();
  #image: MetadataImage = emptyImage;
  #watch: { cancel(): void } | undefined;
  #ready = false;
  /** The last thing that the current watch delivered was taken in; a change is only good on top of it. */
  #inStep = false;

  constructor(options: { readonly timers: Timers; readonly logger: Logger }) {
    this.#timers = options.timers;
    this.#logger = options.logger;
  }

  get image(): MetadataImage {
    return this.#image;
  }

  /** Whether a snapshot was seen. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Watches through this session from now on. */
  attach(session: CoordinatorSession): void {
    this.#watch?.cancel();
    this.#inStep = false;
    let current = true;
    const listener: WatchListener = {
      onSnapshot: (nodes, zxid) => {
        if (current) this.#onSnapshot(nodes, zxid);
      },
      onChanges: (changes, zxid) => {
        if (current) this.#onChanges(changes, zxid);
      },
    };
    const watch = session.watch('/', { recursive: true }, listener);
    this.#watch = {
      cancel: () => {
        current = false;
        watch.cancel();
      },
    };
  }

  /** Listeners are called in the order of their subscription. The first call after a late subscription is the next change. */
  subscribe(listener: MetadataListener): () => void {
    this.#listeners.push(listener);
    return () => {
      const index = this.#listeners.indexOf(listener);
      if (index >= 0) this.#listeners.splice(index, 1);
    };
  }

  /** Resolves once this broker has taken in everything up to `zxid`: a writer sees its own write. Rejects with `MetadataTimeoutError`. */
  waitFor(zxid: Zxid, timeoutMs?: number): Promise<MetadataImage> {
    return this.waitUntil((image) => image.zxid >= zxid, timeoutMs);
  }

  /** Resolves with the first image that fulfils the condition, at once when the current one does. Rejects with `MetadataTimeoutError`. */
  waitUntil(isDone: (image: MetadataImage) => boolean, timeoutMs?: number): Promise<MetadataImage> {
    if (isDone(this.#image)) return Promise.resolve(this.#image);
    if (this.#waiters.size >= waitersMax) {
      return Promise.reject(new MetadataTimeoutError(`${waitersMax} requests wait for metadata already`));
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        isDone,
        resolve: (image) => {
          timer?.cancel();
          resolve(image);
        },
      };
      const timer =
        timeoutMs === undefined
          ? undefined
          : this.#timers.after(timeoutMs, () => {
              this.#waiters.delete(waiter);
              reject(new MetadataTimeoutError(`the metadata did not arrive within ${timeoutMs} ms`));
            });
      this.#waiters.add(waiter);
    });
  }

  close(): void {
    this.#watch?.cancel();
    this.#watch = undefined;
    this.#listeners.length = 0;
  }

  #onSnapshot(nodes: readonly Znode[], zxid: Zxid): void {
    const clusterId = this.#image.clusterId;
    const next = applySnapshot(this.#image, nodes, zxid, this.#reportUndecodable);
    if (clusterId !== undefined && next.clusterId !== clusterId) {
      // Coordinators that lost their data, or another cluster's at the same address: nothing they say is about our logs (row 58).
      this.#inStep = false;
      this.#logger.error(
        { clusterId, found: next.clusterId, zxid },
        'the coordinator serves another cluster; its metadata is ignored',
      );
      return;
    }
    this.#ready = true;
    this.#inStep = true;
    this.#publish(next);
  }

  #onChanges(changes: readonly WatchChange[], zxid: Zxid): void {
    if (!this.#inStep) return;
    this.#publish(applyChanges(this.#image, changes, zxid, this.#reportUndecodable));
  }

  #publish(next: MetadataImage): void {
    const before = this.#image;
    const delta = diffImages(before, next);
    this.#image = next;
    if (!isEmptyDelta(delta)) {
      for (const listener of [...this.#listeners]) listener(next, delta);
    }
    for (const waiter of this.#waiters) {
      if (!waiter.isDone(next)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(next);
    }
  }

  readonly #reportUndecodable = (error: Error): void => {
    this.#logger.error({ error }, 'a znode cannot be read; what was known of it before stays in force');
  };
}
