/** Something that happens at a moment of virtual time. */
export interface SimulatedEvent {
  readonly timeMs: number;
  /** Order of scheduling: events of the same moment happen first come, first served. */
  readonly sequence: number;
  /** Undefined once cancelled: the event stays in the queue and is skipped. */
  run: (() => void) | undefined;
  /** Whose event it is: it does not happen when the owner is dead, and waits while the owner is paused. */
  readonly owner: EventOwner | undefined;
}

export interface EventOwner {
  /** The machine on which it happens. */
  readonly host: string;
  readonly alive: boolean;
  readonly paused: boolean;
  /** Takes an event that came due during a pause. */
  hold(event: SimulatedEvent): void;
}

/** A binary heap by (time, sequence). */
export class EventQueue {
  readonly #heap: SimulatedEvent[] = [];
  #sequence = 0;

  get size(): number {
    return this.#heap.length;
  }

  add(timeMs: number, owner: EventOwner | undefined, run: () => void): SimulatedEvent {
    const event: SimulatedEvent = { timeMs, sequence: this.#sequence++, run, owner };
    this.#heap.push(event);
    this.#siftUp(this.#heap.length - 1, event);
    return event;
  }

  peek(): SimulatedEvent | undefined {
    return this.#heap[0];
  }

  take(): SimulatedEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) this.#siftDown(last);
    return first;
  }

  #siftUp(start: number, event: SimulatedEvent): void {
    const heap = this.#heap;
    let index = start;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex] as SimulatedEvent;
      if (isBefore(parent, event)) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = event;
  }

  #siftDown(event: SimulatedEvent): void {
    const heap = this.#heap;
    const length = heap.length;
    let index = 0;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= length) break;
      let child = heap[childIndex] as SimulatedEvent;
      const right = heap[childIndex + 1];
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        childIndex++;
      }
      if (isBefore(event, child)) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = event;
  }
}

function isBefore(a: SimulatedEvent, b: SimulatedEvent): boolean {
  return a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.sequence < b.sequence);
}
