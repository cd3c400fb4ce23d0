import type { ClusterChange, PartitionChange } from '../cluster/observer.ts';
import { escapeHtml } from './html.ts';
import { partitionHistories } from './partition-history.ts';

/** From a time to where it is drawn. */
export type Scale = (ms: number) => number;

/** By broker id. */
export const brokerColours = ['#c6ccd0', '#2a7fba', '#d98a1f', '#4c9a5b'];

/** A stretch of time in one stripe of a lane. */
interface Stretch {
  readonly stripe: number;
  readonly fromMs: number;
  /** Undefined: to the end. */
  readonly toMs: number | undefined;
  readonly broker: number;
  readonly look: 'full' | 'pale' | 'outlined';
  readonly title: string;
}

export interface Lane {
  readonly name: string;
  readonly height: number;
  readonly stretches: readonly Stretch[];
  /** When somebody was elected. */
  readonly marks: readonly number[];
}

const stripeHeight = 6;
const stripes = 3;
const lanesMax = 8;

export function laneSvg({ stretches, marks, height }: Lane, top: number, x: Scale, endMs: number): string {
  const bars = stretches.map(({ stripe, fromMs, toMs, broker, look, title }) => {
    const from = x(fromMs);
    const width = Math.max(0.5, x(toMs ?? endMs) - from).toFixed(1);
    const colour = brokerColours[Math.max(0, broker)] ?? '#888';
    const fill =
      look === 'outlined'
        ? `fill="none" stroke="${colour}" stroke-width=".8"`
        : `fill="${colour}" fill-opacity="${look === 'full' ? 1 : 0.35}"`;
    const barHeight = height === stripeHeight ? stripeHeight : stripeHeight - 0.5;
    return `<rect x="${from.toFixed(1)}" y="${top + stripe * stripeHeight}" width="${width}" height="${barHeight}" ${fill}><title>${escapeHtml(title)}</title></rect>`;
  });
  const middle = height / 2;
  const triangles = marks.map((ms) => `<path d="M${x(ms).toFixed(1)} ${top} l5 ${middle} l-5 ${middle} z"/>`);
  return [...bars, ...triangles].join('');
}

/** The first of them; `hidden`: how many more there are. */
export function partitionLanes(changes: readonly ClusterChange[]): { lanes: Lane[]; hidden: number } {
  const histories = partitionHistories(changes);
  const lanes = histories.slice(0, lanesMax).map(({ name, changes: states }): Lane => {
    const isElection = (state: PartitionChange, i: number): boolean =>
      i > 0 && states[i - 1]?.leaderEpoch !== state.leaderEpoch;
    return {
      name: name.replace('__consumer_offsets', 'offsets'),
      height: stripes * stripeHeight,
      stretches: states.flatMap((state, i) => stretchesOf(state, states[i + 1]?.atMs)),
      marks: states.filter(isElection).map(({ atMs }) => atMs),
    };
  });
  return { lanes, hidden: histories.length - lanes.length };
}

function stretchesOf(state: PartitionChange, toMs: number | undefined): Stretch[] {
  const { leader, leaderEpoch, isr, elr, atMs: fromMs } = state;
  const title = `leader ${leader < 0 ? 'none' : leader}, epoch ${leaderEpoch}, ISR ${isr.join(' ')}${elr.length > 0 ? `, ELR ${elr.join(' ')}` : ''}`;
  const stretch = (broker: number, look: Stretch['look']): Stretch => ({
    stripe: broker - 1,
    fromMs,
    toMs,
    broker,
    look,
    title,
  });
  return [
    ...isr.map((id) => stretch(id, id === leader ? 'full' : 'pale')),
    ...elr.map((id) => stretch(id, 'outlined')),
  ];
}

/** A gap: the broker's session had ended. */
export function registeredLane(changes: readonly ClusterChange[]): Lane {
  const stretches: Stretch[] = [];
  const since = new Map<number, number>();
  const close = (broker: number, toMs: number | undefined): void => {
    const fromMs = since.get(broker);
    if (fromMs === undefined) return;
    since.delete(broker);
    stretches.push({ stripe: broker - 1, fromMs, toMs, broker, look: 'full', title: `broker ${broker} is registered` });
  };
  for (const change of changes) {
    if (change.kind !== 'broker') continue;
    close(change.broker, change.atMs);
    if (change.isRegistered) since.set(change.broker, change.atMs);
  }
  for (const broker of [...since.keys()]) close(broker, undefined);
  return { name: 'registered', height: stripes * stripeHeight, stretches, marks: [] };
}

export function controllerLane(changes: readonly ClusterChange[]): Lane {
  const list = changes.filter((change) => change.kind === 'controller');
  const stretches = list.flatMap(({ broker, atMs: fromMs }, i): Stretch[] => {
    const toMs = list[i + 1]?.atMs;
    return broker < 0 ? [] : [{ stripe: 0, fromMs, toMs, broker, look: 'full', title: `controller ${broker}` }];
  });
  return { name: 'controller', height: stripeHeight, stretches, marks: [] };
}
