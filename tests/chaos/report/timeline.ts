import type { PartitionChange } from '../cluster/observer.ts';
import { ackBucketMs, type CellResult } from '../run/result.ts';
import { escapeHtml } from './report.ts';

const width = 1_160;
const left = 90;
const ackHeight = 90;
const laneHeight = 14;
const lanesMax = 8;
const brokerColours = ['#c6ccd0', '#2a7fba', '#d98a1f', '#4c9a5b', '#8d5bb3', '#b34f6d'];
const isrOpacity = [0.15, 0.35, 0.65, 1];

/**
 * Rate of acknowledgements above, the fault as a bar behind everything, then a lane for each partition: coloured by its leader, the paler the smaller its
 * ISR, a mark at each election; last the controller.
 */
export function timelineSvg(result: CellResult): string {
  const endMs = Math.max(result.endMs, 1);
  const x = (ms: number) => left + ((width - left - 10) * Math.min(Math.max(ms, 0), endMs)) / endMs;
  const lanes = partitionLanes(result);
  const lanesTop = ackHeight + 30;
  const height = lanesTop + (lanes.length + 1) * (laneHeight + 3) + 30;
  const parts = [
    faultBar(result, x, height),
    ackCurve(result, x),
    ...lanes.map(([name, changes], i) => partitionLane(name, changes, lanesTop + i * (laneHeight + 3), x, endMs)),
    controllerLane(result, lanesTop + lanes.length * (laneHeight + 3), x, endMs),
    axis(x, endMs, height),
    legend(height),
  ];
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="timeline of ${escapeHtml(result.cell)}">${parts.join('')}</svg>`;
}

type Scale = (ms: number) => number;

function faultBar(result: CellResult, x: Scale, height: number): string {
  const from = x(result.faultFromMs);
  const marks = result.notes.map(
    ({ atMs, text }) =>
      `<line x1="${x(atMs).toFixed(1)}" x2="${x(atMs).toFixed(1)}" y1="16" y2="${ackHeight + 10}" stroke="#b3261e" stroke-dasharray="2 3"><title>${escapeHtml(text)}</title></line>`,
  );
  return `<rect x="${from.toFixed(1)}" y="0" width="${(x(result.faultToMs) - from).toFixed(1)}" height="${height - 24}" fill="#f6d9d6"/><text x="${(from + 4).toFixed(1)}" y="12">${escapeHtml(result.cell.split('/')[1] ?? '')}</text>${marks.join('')}`;
}

function ackCurve({ acks }: CellResult, x: Scale): string {
  const most = Math.max(...acks, 1);
  const points = acks.flatMap((count, i) => {
    const y = (ackHeight + 10 - (ackHeight - 10) * (count / most)).toFixed(1);
    return [`${x(i * ackBucketMs).toFixed(1)},${y}`, `${x((i + 1) * ackBucketMs).toFixed(1)},${y}`];
  });
  return `<text x="4" y="24">${Math.round((most * 1_000) / ackBucketMs)} acks/s</text><text x="4" y="${ackHeight + 10}">0</text><polyline points="${points.join(' ')}" fill="none" stroke="#1c2b33" stroke-width="1.2"/>`;
}

function partitionLanes({ changes }: CellResult): (readonly [string, readonly PartitionChange[]])[] {
  const partitions = changes.filter((change) => change.kind === 'partition');
  return [...Map.groupBy(partitions, (change) => change.partition)]
    .sort(([a], [b]) => a - b)
    .slice(0, lanesMax)
    .map(([partition, list]) => [`partition ${partition}`, list] as const);
}

function partitionLane(name: string, changes: readonly PartitionChange[], y: number, x: Scale, endMs: number): string {
  const bars = changes.map((change, i) => {
    const from = x(change.atMs);
    const to = x(changes[i + 1]?.atMs ?? endMs);
    const elected = i > 0 && changes[i - 1]?.leaderEpoch !== change.leaderEpoch;
    const colour = brokerColours[Math.max(0, change.leader)] ?? '#888';
    const title = `leader ${change.leader}, epoch ${change.leaderEpoch}, isr ${change.isr.join(',')}${change.elr.length > 0 ? `, elr ${change.elr.join(',')}` : ''}`;
    const mark = elected
      ? `<path d="M${from.toFixed(1)} ${y - 1} l3 ${laneHeight / 2} l-3 ${laneHeight / 2} z" fill="#000"/>`
      : '';
    return `<rect x="${from.toFixed(1)}" y="${y}" width="${Math.max(0.5, to - from).toFixed(1)}" height="${laneHeight}" fill="${colour}" fill-opacity="${isrOpacity[Math.min(3, change.isr.length)]}"><title>${title}</title></rect>${mark}`;
  });
  return `<text x="4" y="${y + laneHeight - 3}">${name}</text>${bars.join('')}`;
}

function controllerLane({ changes }: CellResult, y: number, x: Scale, endMs: number): string {
  const list = changes.filter((change) => change.kind === 'controller');
  const bars = list.map((change, i) => {
    const from = x(change.atMs);
    const to = x(list[i + 1]?.atMs ?? endMs);
    return `<rect x="${from.toFixed(1)}" y="${y}" width="${Math.max(0.5, to - from).toFixed(1)}" height="${laneHeight}" fill="${brokerColours[Math.max(0, change.broker)] ?? '#888'}"><title>controller ${change.broker}</title></rect>`;
  });
  return `<text x="4" y="${y + laneHeight - 3}">controller</text>${bars.join('')}`;
}

function axis(x: Scale, endMs: number, height: number): string {
  const stepMs = endMs > 40_000 ? 5_000 : 1_000;
  const ticks = Array.from({ length: Math.floor(endMs / stepMs) + 1 }, (_, i) => i * stepMs);
  return ticks
    .map((ms) => `<text x="${x(ms).toFixed(1)}" y="${height - 14}" text-anchor="middle">${ms / 1_000} s</text>`)
    .join('');
}

function legend(height: number): string {
  const items = [1, 2, 3].map(
    (id, i) =>
      `<rect x="${left + i * 80}" y="${height - 10}" width="8" height="8" fill="${brokerColours[id]}"/><text x="${left + 12 + i * 80}" y="${height - 2}">broker ${id}</text>`,
  );
  return `${items.join('')}<text x="${left + 250}" y="${height - 2}">paler: smaller ISR · grey: no leader · black mark: election · dashed: what the harness did</text>`;
}
