import type { broker } from '@naru/rpc';
import type { Expiring } from '../replication/deadlines.ts';
import type { ReplicaManager } from '../replication/replica-manager.ts';

/** Longest wait for a leadership that a client knows of and this broker does not have yet, milliseconds. */
export const leadershipWaitMsMax = 1_000;

/** Records of one request for one partition. */
class Held implements Expiring {
  readonly isUnanswered: boolean;
  readonly #append: () => void;
  readonly #onExpired: (held: Held) => void;
  slot = 0;

  constructor(append: () => void, isUnanswered: boolean, onExpired: (held: Held) => void) {
    this.#append = append;
    this.isUnanswered = isUnanswered;
    this.#onExpired = onExpired;
  }

  /** Appends when the partition is led by now, and refuses when it is not. */
  release(): void {
    this.#append();
  }

  expired(): void {
    this.#onExpired(this);
  }
}

/**
 * Records that came before the leadership. What happens, one after the other:
 *
 * 1. The controller writes the state of a new topic's partition: broker 2 leads.
 * 2. Broker 1 sees it, and says so to a client (CreateTopics is answered, or Metadata).
 * 3. The client produces at broker 2, which has not seen the state, or is still opening the log.
 * 4. Broker 2 leads.
 *
 * A refusal in 3 costs a retry; with acks=0 nobody hears of it, and the records are lost although nothing has failed. So they wait for 4, for a short time. What
 * is answered waits only when this broker knows that it is elected: else it is more likely that the client is wrong, and it can ask again.
 *
 * Records of one partition keep their order: whoever comes while others wait waits behind them.
 */
export class HeldRecords {
  readonly #replicas: ReplicaManager;
  readonly #queues = new Map<string, Held[]>();

  constructor(replicas: ReplicaManager) {
    this.#replicas = replicas;
    replicas.onLed(({ topic, index }) => this.#look(topic, index));
    replicas.onStateSeen((topic, partition) => this.#look(topic, partition));
  }

  mustWait(asked: broker.PartitionRecords, isUnanswered: boolean): boolean {
    const { topic, partition } = asked;
    if (this.#queues.size > 0 && this.#queues.has(keyOf(topic, partition))) return true;
    const found = this.#replicas.find(topic, asked.topicId, partition);
    if (found.kind === 'partition' && found.partition.isLeader) return false;
    return isUnanswered || this.#replicas.isElected(topic, partition);
  }

  add({ topic, partition }: broker.PartitionRecords, append: () => void, isUnanswered: boolean): void {
    const { deadlines } = this.#replicas;
    const key = keyOf(topic, partition);
    const queue = this.#queues.get(key) ?? [];
    this.#queues.set(key, queue);
    const held = new Held(append, isUnanswered, () => {
      // They wait equally long: whoever came before is gone already.
      queue.splice(queue.indexOf(held), 1);
      if (queue.length === 0) this.#queues.delete(key);
      held.release();
    });
    held.slot = deadlines.set(held, leadershipWaitMsMax);
    queue.push(held);
  }

  /** Something has become known of the partition. */
  #look(topic: string, partition: number): void {
    const key = keyOf(topic, partition);
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    if (queue === undefined) return;
    const found = this.#replicas.find(topic, '', partition);
    const isLed = found.kind === 'partition' && found.partition.isLeader;
    const isElected = this.#replicas.isElected(topic, partition);
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      if (!isLed && (isElected || first.isUnanswered)) return;
      queue.shift();
      this.#replicas.deadlines.clear(first, first.slot);
      first.release();
    }
    this.#queues.delete(key);
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
