import { ackBucketMs, type CellResult } from '../run/result.ts';
import { escapeHtml } from './html.ts';
import {
  brokerColours,
  controllerLane,
  type Lane,
  laneSvg,
  partitionLanes,
  registeredLane,
  type Scale,
} from './lanes.ts';
import { inSyncSteps } from './partition-history.ts';

const width = 1_160;
const left = 130;
const right = 10;
const ackTop = 34;
const ackHeight = 96;
const inSyncHeight = 26;
const gap = 12;
const axisColour = '#dde4e8';

/**
 * Of one run, from above: the rate of acknowledgements, how many replicas are in sync, a lane for each partition (who is in its ISR, who leads, elections), who is registered, who is
 * the controller. The fault is a bar behind all of it; what the harness did are dashed lines, numbered as in the list below.
 */
export function timelineSvg(result: CellResult): string {
  const endMs = Math.max(result.endMs, 1);
  const x: Scale = (ms) => left + ((width - left - right) * Math.min(Math.max(ms, 0), endMs)) / endMs;
  const inSyncTop = ackTop + ackHeight + gap;
  let top = inSyncTop + inSyncHeight + gap;
  const { lanes, hidden } = partitionLanes(result.changes);
  const placed: string[] = [];
  for (const lane of [...lanes, registeredLane(result.changes), controllerLane(result.changes)]) {
    placed.push(label(lane.name, top + lane.height - 4), laneSvg(lane, top, x, endMs));
    top += laneHeight(lane);
    if (lane !== lanes.at(-1) || hidden === 0) continue;
    placed.push(label(`and ${hidden} more`, top + 8));
    top += 16;
  }
  const height = top + 38;
  const parts = [
    faultBar(result, x, top),
    grid(x, endMs, top),
    ackCurve(result, x),
    inSyncCurve(result, inSyncTop, x, endMs),
    ...placed,
    noteMarks(result, x, top),
    legend(top + 30),
  ];
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="timeline of ${escapeHtml(result.cell)}">${parts.join('')}</svg>`;
}

function laneHeight({ height }: Lane): number {
  return height + 6;
}

function label(text: string, y: number): string {
  return `<text x="4" y="${y}">${escapeHtml(text)}</text>`;
}

function faultBar(result: CellResult, x: Scale, bottom: number): string {
  const from = x(result.faultFromMs);
  const seconds = ((result.faultToMs - result.faultFromMs) / 1_000).toFixed(1);
  const name = escapeHtml(result.cell.split('/')[1] ?? '');
  return `<rect x="${at(from)}" y="0" width="${at(x(result.faultToMs) - from)}" height="${bottom}" fill="#f9e4e1"/><text x="${at(from + 4)}" y="12" class="fault">${name}, ${seconds} s</text>`;
}

/** A line at each tick of the clock, its time below. */
function grid(x: Scale, endMs: number, bottom: number): string {
  const stepMs = endMs > 120_000 ? 20_000 : endMs > 40_000 ? 5_000 : 1_000;
  const ticks = Array.from({ length: Math.floor(endMs / stepMs) + 1 }, (_, i) => i * stepMs);
  return ticks
    .map(
      (ms) =>
        `<line x1="${at(x(ms))}" x2="${at(x(ms))}" y1="${ackTop}" y2="${bottom}" stroke="${axisColour}"/><text x="${at(x(ms))}" y="${bottom + 12}" text-anchor="middle">${ms / 1_000} s</text>`,
    )
    .join('');
}

function ackCurve({ acks }: CellResult, x: Scale): string {
  const most = Math.max(...acks, 1);
  const bottom = ackTop + ackHeight;
  const points = acks.flatMap((count, i) => {
    const y = at(bottom - ackHeight * (count / most));
    return [`${at(x(i * ackBucketMs))},${y}`, `${at(x((i + 1) * ackBucketMs))},${y}`];
  });
  const [from, to] = [at(x(0)), at(x(acks.length * ackBucketMs))];
  const rate = (count: number): string => String(Math.round((count * 1_000) / ackBucketMs));
  return [
    ...[0, 0.5, 1].map((share) => {
      const y = at(bottom - ackHeight * share);
      return `<line x1="${left}" x2="${width - right}" y1="${y}" y2="${y}" stroke="${axisColour}"/><text x="${left - 4}" y="${Number(y) + 4}" text-anchor="end">${rate(most * share)}</text>`;
    }),
    label('acks/s', ackTop + 12),
    `<polygon points="${from},${bottom} ${points.join(' ')} ${to},${bottom}" fill="#1c5d8c" fill-opacity=".14"/>`,
    `<polyline points="${points.join(' ')}" fill="none" stroke="#1c5d8c" stroke-width="1.2"/>`,
  ].join('');
}

/** How many members all ISRs of the topic have together. */
function inSyncCurve({ changes }: CellResult, top: number, x: Scale, endMs: number): string {
  const steps = inSyncSteps(changes);
  const most = Math.max(1, ...steps.map(({ members }) => members));
  const bottom = top + inSyncHeight;
  const y = (members: number): string => at(bottom - inSyncHeight * (members / most));
  const points = steps.flatMap(({ atMs, members }, i) => {
    const to = steps[i + 1]?.atMs ?? endMs;
    return [`${at(x(atMs))},${y(members)}`, `${at(x(to))},${y(members)}`];
  });
  return [
    label('replicas in sync', top + 12),
    `<text x="${left - 4}" y="${top + 8}" text-anchor="end">${most}</text><text x="${left - 4}" y="${bottom}" text-anchor="end">0</text>`,
    `<line x1="${left}" x2="${width - right}" y1="${bottom}" y2="${bottom}" stroke="${axisColour}"/>`,
    `<polyline points="${points.join(' ')}" fill="none" stroke="#2f6b45" stroke-width="1.5"/>`,
  ].join('');
}

function noteMarks({ notes }: CellResult, x: Scale, bottom: number): string {
  return notes
    .map(({ atMs, text }, i) => {
      const where = at(x(atMs));
      const title = `<title>${escapeHtml(`${(atMs / 1_000).toFixed(1)} s: ${text}`)}</title>`;
      return `<line x1="${where}" x2="${where}" y1="${ackTop - 6}" y2="${bottom}" stroke="#b3261e" stroke-dasharray="2 3">${title}</line><text x="${where}" y="${ackTop - 8}" text-anchor="middle" class="fault">${i + 1}</text>`;
    })
    .join('');
}

function legend(y: number): string {
  const brokers = [1, 2, 3].map(
    (id, i) =>
      `<rect x="${left + i * 75}" y="${y - 8}" width="8" height="8" fill="${brokerColours[id]}"/><text x="${left + 12 + i * 75}" y="${y}">broker ${id}</text>`,
  );
  const rest =
    'in a lane a stripe for each broker: full colour leads, pale is in the ISR, outlined in the ELR · ▶ election · dashed: see the list';
  return `${brokers.join('')}<text x="${left + 235}" y="${y}">${rest}</text>`;
}

function at(value: number): string {
  return value.toFixed(1);
}
