import type { broker } from '@naru/rpc';
import type { Expiring } from '../replication/deadlines.ts';
import type { ReplicaManager } from '../replication/replica-manager.ts';

/** Bytes that may wait at once; beyond, records are refused: whoever produces to what does not exist must not use up what all clients share. */
const heldBytesMax = 8 * 1024 * 1024;
/** Longest wait for a leadership that a client knows of and this broker does not have yet, milliseconds. */
export const leadershipWaitMsMax = 1_000;

/** Records of one request for one partition. */
class Held implements Expiring {
  readonly isUnanswered: boolean;
  readonly bytes: number;
  /** Appends when the partition is led by now, and refuses when it is not. */
  readonly append: () => void;
  readonly #onExpired: (held: Held) => void;
  slot = 0;

  constructor(
    asked: broker.PartitionRecords,
    append: () => void,
    isUnanswered: boolean,
    onExpired: (held: Held) => void,
  ) {
    this.bytes = asked.records.length;
    this.append = append;
    this.isUnanswered = isUnanswered;
    this.#onExpired = onExpired;
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
 * A refusal in 3 costs a retry; with acks=0 nobody hears of it, and the records are lost although nothing has failed. So they wait for 4, for a short time: all when
 * this broker knows that it is elected, those without an answer also when it knows of no leader. When it knows of another, it is more likely that the client is wrong.
 *
 * Records of one partition keep their order: whoever comes while others wait waits behind them.
 */
export class HeldRecords {
  readonly #replicas: ReplicaManager;
  readonly #queues = new Map<string, Held[]>();
  #bytes = 0;

  constructor(replicas: ReplicaManager) {
    this.#replicas = replicas;
    replicas.onLed(({ topic, index }) => this.#look(topic, index));
    replicas.onStateSeen((topic, partition) => this.#look(topic, partition));
  }

  mustWait(asked: broker.PartitionRecords, isUnanswered: boolean): boolean {
    const { topic, partition, topicId } = asked;
    if (this.#bytes + asked.records.length > heldBytesMax) return false;
    if (this.#queues.size > 0 && this.#queues.has(keyOf(topic, partition))) return true;
    const found = this.#replicas.find(topic, topicId, partition);
    if (found.kind === 'partition' && found.partition.isLeader) return false;
    return this.#mayComeToLead(topic, partition, isUnanswered);
  }

  add(asked: broker.PartitionRecords, append: () => void, isUnanswered: boolean): void {
    const { topic, partition } = asked;
    const key = keyOf(topic, partition);
    const queue = this.#queues.get(key) ?? [];
    this.#queues.set(key, queue);
    const held = new Held(asked, append, isUnanswered, () => {
      // They wait equally long: whoever came before is gone already.
      this.#release(queue, held);
      if (queue.length === 0) this.#queues.delete(key);
    });
    held.slot = this.#replicas.deadlines.set(held, leadershipWaitMsMax);
    queue.push(held);
    this.#bytes += held.bytes;
  }

  #release(queue: Held[], held: Held): void {
    queue.splice(queue.indexOf(held), 1);
    this.#bytes -= held.bytes;
    held.append();
  }

  #mayComeToLead(topic: string, partition: number, isUnanswered: boolean): boolean {
    if (this.#replicas.isElected(topic, partition)) return true;
    return isUnanswered && this.#replicas.leaderOf(topic, partition).leaderId < 0;
  }

  /** Something has become known of the partition. */
  #look(topic: string, partition: number): void {
    const key = keyOf(topic, partition);
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    if (queue === undefined) return;
    const found = this.#replicas.find(topic, '', partition);
    const isLed = found.kind === 'partition' && found.partition.isLeader;
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      if (!isLed && this.#mayComeToLead(topic, partition, first.isUnanswered)) return;
      this.#replicas.deadlines.clear(first, first.slot);
      this.#release(queue, first);
    }
    this.#queues.delete(key);
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
