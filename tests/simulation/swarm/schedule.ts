import type { SeededRandom } from '@naru/runtime/simulated';

/** Kinds of `faults.md` 3a. What exactly is hit is decided when it happens, by the fault's own stream of randomness. */
export const faultKinds = [
  'clog',
  'slow-link',
  'reset-connections',
  'lose-requests',
  'lose-replies',
  'cut-pair',
  'cut-one-way',
  'isolate',
  'split',
  'cut-from-coordinators',
  'cut-from-brokers',
  'cut-clients',
  'crash-broker',
  'crash-leader',
  'crash-controller',
  'crash-coordinator',
  'crash-coordinator-leader',
  'crash-in-disk-call',
  'fast-bounce',
  'bounce-coordinator',
  'power-loss-of-coordinators',
  'recycle-coordinator',
  'crash-all-brokers',
  'power-loss',
  'power-loss-of-all',
  'pause-broker',
  'pause-leader',
  'pause-coordinator',
  'slow-disk',
  'failing-sync',
  'disk-full',
  'bit-flip',
  'truncate-file',
  'clock-jump',
  'controlled-shutdown',
  'coordinator-shutdown',
  'coordinator-transfer',
  'recreate-topic',
  'add-partition',
  'move-partition',
  'elect-preferred',
  'crash-member',
  'pause-member',
  'member-leaves',
  'crash-group-coordinator',
] as const;

/**
 * They came later than those above, and no run without them was to become another: from a stream of their own a few are added to every second run, and none to
 * those of the ambushes.
 */
export const addedKinds = ['failing-read', 'damage-coordinator', 'alter-config'] as const;

/** Faults that lie in wait for a moment of the protocol (`ambushes.ts`): in weathers of their own. */
export const ambushKinds = [
  'bounce-voter',
  'bounce-joiner',
  'overtake-controller',
  'outlive-topic',
  'return-alone',
] as const;

export type AmbushKind = (typeof ambushKinds)[number];
export type FaultKind = (typeof faultKinds)[number] | (typeof addedKinds)[number] | AmbushKind;

export interface Fault {
  /** Place in the schedule that was drawn: names its randomness, also when others were dropped. */
  readonly id: number;
  readonly kind: FaultKind;
  /** Since the workload began. */
  readonly atMs: number;
  /** How long it lasts, where it lasts. */
  readonly durationMs: number;
}

/** What a run's promises can survive. */
export interface Limits {
  readonly durationMs: number;
  readonly sessionTimeoutMs: number;
  readonly mayLosePower: boolean;
  readonly mayDamage: boolean;
  readonly hasGroup: boolean;
  readonly weather: Weather;
}

/** What a run is rich in: bugs that need several things of one kind at once are rare in a mixture of everything. */
export const weathers = ['mixed', 'quorum', 'slow-quorum', 'damage'] as const;
/** Rich in races that luck brings about once in thousands of runs. */
export const ambushWeathers = ['duels', 'overtaking', 'alone'] as const;
export type Weather = (typeof weathers)[number] | (typeof ambushWeathers)[number];

const ambushesOf: Readonly<Partial<Record<Weather, readonly AmbushKind[]>>> = {
  duels: ['bounce-voter'],
  overtaking: ['bounce-joiner', 'overtake-controller', 'outlive-topic'],
  alone: ['return-alone'],
};
/** Of the weight of everything drawn before it. */
const ambushShare = 0.5;

const favourites: Readonly<Partial<Record<Weather, ReadonlySet<FaultKind>>>> = {
  quorum: new Set([
    'crash-coordinator',
    'crash-coordinator-leader',
    'bounce-coordinator',
    'power-loss-of-coordinators',
    'pause-coordinator',
    'isolate',
    'slow-link',
    'coordinator-transfer',
  ]),
  'slow-quorum': new Set(['fast-bounce', 'pause-broker', 'pause-leader', 'crash-leader', 'power-loss-of-coordinators']),
  damage: new Set(['truncate-file', 'bit-flip', 'crash-leader', 'crash-broker', 'fast-bounce']),
};
const favouriteWeight = 4;

const needPower: ReadonlySet<FaultKind> = new Set([
  'power-loss',
  'power-loss-of-all',
  'power-loss-of-coordinators',
  'failing-sync',
]);
const needAtlas: ReadonlySet<FaultKind> = new Set(['bit-flip', 'truncate-file']);
const needGroup: ReadonlySet<FaultKind> = new Set([
  'crash-member',
  'pause-member',
  'member-leaves',
  'crash-group-coordinator',
]);
/** They need the topic that comes and goes. */
export const needChurn: ReadonlySet<FaultKind> = new Set(['recreate-topic', 'add-partition', 'outlive-topic']);
/** Those that stop everything: seldom. */
const rare: ReadonlySet<FaultKind> = new Set([
  'power-loss-of-all',
  'crash-all-brokers',
  'recreate-topic',
  'add-partition',
]);

/** Swarm testing: each run has some of the kinds, with weights of its own, in one of three rhythms. */
export function drawSchedule(random: SeededRandom, limits: Limits): readonly Fault[] {
  const weights = new Map<FaultKind, number>();
  for (const kind of faultKinds) {
    const draw = random.nextFloat();
    if (needPower.has(kind) && !limits.mayLosePower) continue;
    if (needAtlas.has(kind) && !limits.mayDamage) continue;
    if (needGroup.has(kind) && !limits.hasGroup) continue;
    const isFavourite = favourites[limits.weather]?.has(kind) ?? false;
    if (draw < 0.45 && !isFavourite) continue;
    const weight = rare.has(kind) ? 0.15 : needGroup.has(kind) ? 2 : isFavourite ? favouriteWeight : 1;
    weights.set(kind, weight * draw);
  }
  for (const kind of ambushesOf[limits.weather] ?? []) weights.set(kind, ambushShare * totalOf(weights));
  const count = 20 + random.nextInt(25);
  // Mostly shorter than what it takes to notice them, sometimes longer.
  const meanMs = limits.sessionTimeoutMs * (0.1 + 0.5 * random.nextFloat());
  const bunched = random.chance(0.3);
  const faults = Array.from({ length: count }, (_, id): Fault => {
    const at = bunched ? (Math.floor(random.nextFloat() * 4) + 0.15 * random.nextFloat()) / 4 : random.nextFloat();
    return {
      id,
      kind: draw(weights, random),
      atMs: Math.floor(at * limits.durationMs),
      durationMs: Math.ceil(random.delayMs({ minMs: 5, meanMs })),
    };
  });
  return [...faults, ...drawAdded(random.fork('added'), faults.length, limits, meanMs)].sort(
    (a, b) => a.atMs - b.atMs || a.id - b.id,
  );
}

function drawAdded(random: SeededRandom, firstId: number, limits: Limits, meanMs: number): readonly Fault[] {
  if (limits.weather in ambushesOf || random.chance(0.5)) return [];
  return Array.from({ length: 1 + random.nextInt(4) }, (_, index) => ({
    id: firstId + index,
    kind: addedKinds[random.nextInt(addedKinds.length)] as FaultKind,
    atMs: random.nextInt(limits.durationMs),
    durationMs: Math.ceil(random.delayMs({ minMs: 5, meanMs })),
  }));
}

function totalOf(weights: ReadonlyMap<FaultKind, number>): number {
  let total = 0;
  for (const weight of weights.values()) total += weight;
  return total;
}

function draw(weights: ReadonlyMap<FaultKind, number>, random: SeededRandom): FaultKind {
  let left = random.nextFloat() * totalOf(weights);
  for (const [kind, weight] of weights) {
    left -= weight;
    if (left < 0) return kind;
  }
  return 'crash-broker';
}
