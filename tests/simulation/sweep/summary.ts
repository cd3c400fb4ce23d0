import type { RunReport } from '../swarm/run.ts';
import { addedKinds, ambushKinds, faultKinds } from '../swarm/schedule.ts';

/** Below these a run has proved nothing. */
const least = { acked: 100, elections: 2, faults: 10 } as const;
/** How many runs of a sweep may have proved nothing. */
const vacuousShareMax = 0.05;
/** A sweep of so many runs has to have met these at all. */
const sweepMin = 20;
const mustHappen = [
  'truncations',
  'isrChanges',
  'elections',
  'coordinatorTerms',
  'generations',
  'commits',
  'cleaned',
] as const;
/** A sweep of so many runs has to have had every kind of fault in effect. */
const allFaultsMin = 150;
/** The same for what not every run can have. */
const mustHappenToo = ['epochs', 'protocolChanges'] as const;
/** Ambushes are in an eighth of the runs. */
const allAmbushesMin = 300;

export function isVacuous(report: RunReport): boolean {
  return report.acked < least.acked || report.elections < least.elections || faultsOf(report) < least.faults;
}

export function faultsOf(report: RunReport): number {
  return Object.values(report.faults).reduce((sum, count) => sum + count, 0);
}

/** Adds up what a sweep has seen. */
export class Summary {
  readonly failures: RunReport[] = [];
  readonly #reports: RunReport[] = [];

  add(report: RunReport): void {
    this.#reports.push(report);
    if (report.violation !== undefined) this.failures.push(report);
  }

  get seeds(): number {
    return this.#reports.length;
  }

  /** Why the sweep as a whole proves too little; undefined when it does not. */
  get vacuity(): string | undefined {
    const vacuous = this.#reports.filter((report) => report.violation === undefined && isVacuous(report));
    const tolerated = this.seeds < sweepMin ? this.seeds - 1 : vacuousShareMax * this.seeds;
    if (vacuous.length > tolerated) {
      return `${vacuous.length} of ${this.seeds} runs proved nothing: ${vacuous.map(({ seed }) => seed).join(' ')}`;
    }
    if (this.seeds < sweepMin) return undefined;
    for (const what of [...mustHappen, 'registers'] as const) {
      if (this.#sum((report) => report[what]) === 0) return `no ${what} in ${this.seeds} runs`;
    }
    for (const what of this.seeds < allFaultsMin ? [] : mustHappenToo) {
      if (this.#sum((report) => report[what]) === 0) return `no ${what} in ${this.seeds} runs`;
    }
    const struck = this.#faultCounts();
    const due = [
      ...(this.seeds < allFaultsMin ? [] : [...faultKinds, ...addedKinds]),
      ...(this.seeds < allAmbushesMin ? [] : ambushKinds),
    ];
    const missing = due.filter((kind) => !struck.has(kind));
    if (missing.length === 0) return undefined;
    return `never in effect in ${this.seeds} runs: ${missing.join(', ')}`;
  }

  lines(elapsedMs: number): string[] {
    if (this.seeds === 0) return ['no seed was played'];
    const seconds = elapsedMs / 1_000;
    const byCount = [...this.#faultCounts()].sort(([, a], [, b]) => b - a).map(([kind, count]) => `${kind} ${count}`);
    return [
      `seeds           ${this.seeds}, ${this.failures.length} with a violation`,
      `time            ${seconds.toFixed(1)} s, ${(this.seeds / seconds).toFixed(2)} seeds/s`,
      `simulated       ${(this.#sum((r) => r.simulatedMs) / 3_600_000).toFixed(2)} hours`,
      `events          ${this.#sum((r) => r.events)}, median ${this.#median((r) => r.events)} a seed`,
      `acknowledged    ${this.#sum((r) => r.acked)} records, median ${this.#median((r) => r.acked)} a seed; polled ${this.#sum((r) => r.polled)}`,
      `elections       ${this.#sum((r) => r.elections)} of partitions, ${this.#sum((r) => r.coordinatorTerms)} terms of coordinators`,
      `ISR changes     ${this.#sum((r) => r.isrChanges)}, truncations ${this.#sum((r) => r.truncations)}`,
      `groups          ${this.#sum((r) => r.generations)} generations, ${this.#sum((r) => r.epochs)} epochs of coordinators that assign, ${this.#sum((r) => r.protocolChanges)} changes of the protocol, ${this.#sum((r) => r.commits)} offsets committed; ${this.#sum((r) => r.cleaned)} records compacted away`,
      `full ISR after  median ${this.#median((r) => r.recoveredMs)} ms, at most ${Math.max(...this.#reports.map((r) => Math.round(r.recoveredMs)))} ms from the end of the faults`,
      `faults          median ${this.#median(faultsOf)} a seed: ${byCount.join(', ')}`,
    ];
  }

  #faultCounts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const report of this.#reports) {
      for (const [kind, count] of Object.entries(report.faults)) counts.set(kind, (counts.get(kind) ?? 0) + count);
    }
    return counts;
  }

  #sum(of: (report: RunReport) => number): number {
    return this.#reports.reduce((sum, report) => sum + of(report), 0);
  }

  #median(of: (report: RunReport) => number): number {
    const sorted = this.#reports.map(of).sort((a, b) => a - b);
    return Math.round(sorted[sorted.length >> 1] ?? 0);
  }
}
