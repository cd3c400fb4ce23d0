/** What the members of groups have processed, whoever of them: below an offset that is committed nothing may be missing (G6). */
export class Progress {
  readonly #partitions = new Map<string, { upTo: number; readonly ahead: Set<number> }>();

  processed(group: string, topic: string, partition: number, offset: number): void {
    const name = `${group} ${topic}-${partition}`;
    const progress = this.#partitions.get(name) ?? { upTo: 0, ahead: new Set<number>() };
    this.#partitions.set(name, progress);
    if (offset >= progress.upTo) progress.ahead.add(offset);
    while (progress.ahead.delete(progress.upTo)) progress.upTo++;
  }

  /** The first offset that nobody has processed. */
  upTo(group: string, topic: string, partition: number): number {
    return this.#partitions.get(`${group} ${topic}-${partition}`)?.upTo ?? 0;
  }
}
