import type { ClusterChange, PartitionChange } from './observer.ts';

/** What the observer has told, now and over time. */
export class ClusterView {
  readonly changes: ClusterChange[] = [];
  readonly #partitions = new Map<string, PartitionChange>();
  readonly #registered = new Set<number>();
  #controller = -1;

  learn(message: object): void {
    if (!('changes' in message)) return;
    for (const change of message.changes as readonly ClusterChange[]) this.#apply(change);
  }

  /** -1: none. */
  get controller(): number {
    return this.#controller;
  }

  get registered(): ReadonlySet<number> {
    return this.#registered;
  }

  partition(topic: string, partition: number): PartitionChange | undefined {
    return this.#partitions.get(`${topic}-${partition}`);
  }

  partitionsOf(topic: string): readonly PartitionChange[] {
    return [...this.#partitions.values()].filter((one) => one.topic === topic);
  }

  /** Every partition has a leader and all its replicas in the ISR. */
  isFull(topic: string, partitions: number, replicas: number): boolean {
    const known = this.partitionsOf(topic);
    return (
      known.length === partitions &&
      this.#registered.size === replicas &&
      known.every((one) => one.leader > 0 && one.isr.length === replicas)
    );
  }

  /** For a message: what is not as it should be. */
  describe(topic: string): string {
    const short = this.partitionsOf(topic)
      .filter((one) => one.isr.length < 3 || one.leader < 1)
      .map((one) => `${one.partition}: leader ${one.leader}, isr ${one.isr.join(',')}, elr ${one.elr.join(',')}`);
    return `registered ${[...this.#registered].join(',')}; controller ${this.#controller}; ${short.slice(0, 5).join('; ')}`;
  }

  #apply(change: ClusterChange): void {
    this.changes.push(change);
    switch (change.kind) {
      case 'partition':
        this.#partitions.set(`${change.topic}-${change.partition}`, change);
        break;
      case 'controller':
        this.#controller = change.broker;
        break;
      case 'broker':
        if (change.isRegistered) this.#registered.add(change.broker);
        else this.#registered.delete(change.broker);
        break;
    }
  }
}
