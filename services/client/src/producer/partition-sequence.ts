/** Sequence numbers go round within 31 bits: 2147483647 is followed by 0. */
export const sequenceMax = 0x7fff_ffff;
/** An epoch has 16 bits; after the last one the producer needs another id. */
export const epochMax = 0x7fff;

/** Who a broker takes the producer for. */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly epoch: number;
}

/** A batch's place: its records have the numbers from `firstSequence` on. */
export interface Numbering extends ProducerIdentity {
  readonly firstSequence: number;
}

/** The place of the records from the `count`-th on. */
export function numberedFrom(numbering: Numbering, count: number): Numbering {
  return { ...numbering, firstSequence: (numbering.firstSequence + count) & sequenceMax };
}

/**
 * The sequence numbers of one partition. A batch is numbered when it is sent for the first time; brokers take it only after the batch
 * with the numbers before it, and take it once. Three things may happen to a numbered batch that is given up without being acknowledged:
 *
 * - It is in no log for certain: its numbers are free again (`rewind`), and those behind it are numbered anew.
 * - It may be in the log (`leaveInDoubt`): its numbers are used or not, nobody knows. What is numbered already goes on with its numbers: an
 *   acknowledgement shows that the batch before it is there, too (`confirm`). What is not numbered yet begins with a new epoch,
 *   which also keeps the lost batch out, should it still be on its way (KIP-360).
 * - The broker knows nothing of the producer or misses a batch that is in doubt (`restart`): a new epoch.
 */
export class PartitionSequence {
  #identity: ProducerIdentity | undefined;
  #next = 0;
  #mustRestart = false;
  /** First number of the youngest batch that was left in doubt. */
  #doubtful: number | undefined;

  get producerId(): number | undefined {
    return this.#identity?.producerId;
  }

  /** The next batch needs a producer id other than the present one. */
  get needsIdentity(): boolean {
    return this.#identity === undefined || (this.#mustRestart && this.#identity.epoch >= epochMax);
  }

  /** The next refusal for a gap in the sequence is no surprise. */
  get isInDoubt(): boolean {
    return this.#mustRestart;
  }

  /** Whether a batch that is numbered now could travel with one that has `numbering`: a request is of one epoch. */
  continues(numbering: Numbering): boolean {
    return !this.#mustRestart && this.#isCurrent(numbering);
  }

  /** Takes a fresh identity; sequence numbers begin with 0. */
  identify(fresh: ProducerIdentity): void {
    this.#identity = fresh;
    this.#next = 0;
    this.#mustRestart = false;
    this.#doubtful = undefined;
  }

  /** The numbers of the next batch. `needsIdentity` must be false. */
  take(recordsCount: number): Numbering {
    let identity = this.#identity as ProducerIdentity;
    if (this.#mustRestart) {
      identity = { producerId: identity.producerId, epoch: identity.epoch + 1 };
      this.identify(identity);
    }
    const numbering = { ...identity, firstSequence: this.#next };
    this.#next = (this.#next + recordsCount) & sequenceMax;
    return numbering;
  }

  /** The numbers from this batch on are free again, since none of them is in a log. */
  rewind(numbering: Numbering): void {
    // Of several batches that are given up together, the first decides.
    if (this.continues(numbering) && isBehind(this.#next, numbering.firstSequence))
      this.#next = numbering.firstSequence;
  }

  /** A batch was given up and may be in the log. */
  leaveInDoubt(numbering: Numbering): void {
    if (!this.#isCurrent(numbering)) return;
    this.#mustRestart = true;
    this.#doubtful = numbering.firstSequence;
  }

  /** A batch was acknowledged: so everything before it is in the log. */
  confirm(numbering: Numbering): void {
    if (this.#doubtful === undefined || !this.#isCurrent(numbering)) return;
    if (!isBehind(numbering.firstSequence, this.#doubtful)) return;
    this.#mustRestart = false;
    this.#doubtful = undefined;
  }

  /** What is numbered next begins with a new epoch. */
  restart(): void {
    this.#mustRestart = true;
    this.#doubtful = undefined;
  }

  #isCurrent({ producerId, epoch }: Numbering): boolean {
    return producerId === this.#identity?.producerId && epoch === this.#identity.epoch;
  }
}

/** Whether `sequence` comes after `other`, within half of all numbers. */
export function isBehind(sequence: number, other: number): boolean {
  const distance = (sequence - other) & sequenceMax;
  return distance > 0 && distance < 2 ** 30;
}
