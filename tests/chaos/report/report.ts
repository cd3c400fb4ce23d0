import { invariants } from '../../invariants.ts';
import { type CellResult, type SkippedCell, totalLines } from '../run/result.ts';
import { escapeHtml } from './html.ts';
import { electionCount } from './partition-history.ts';
import { timelineSvg } from './timeline.ts';

/** One page without any other file: the sum, figures of all runs, then a timeline for each; what failed comes first. */
export function reportHtml(
  results: readonly CellResult[],
  skipped: readonly SkippedCell[],
  host: readonly string[],
): string {
  const failed = results.filter(hasFailed);
  const inOrder = [...failed, ...results.filter((result) => !hasFailed(result))];
  const [head, ...totals] = totalLines(results, skipped.length);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Naru under fire</title><style>${style}</style></head><body>
<h1>Naru under fire</h1>
<p class="${failed.length === 0 && results.length > 0 ? 'good' : 'bad'}">${escapeHtml(head ?? '')}</p>
<pre>${escapeHtml(totals.join('\n'))}</pre>
<ul>${host.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul>
${figuresTable(inOrder)}
${skipped.length > 0 ? `<h2>Skipped</h2><ul>${skipped.map(({ cell, reason }) => `<li>${escapeHtml(cell)}: ${escapeHtml(reason)}</li>`).join('')}</ul>` : ''}
${inOrder.map(section).join('\n')}
</body></html>
`;
}

function hasFailed({ violations }: CellResult): boolean {
  return violations.length > 0;
}

function figuresTable(results: readonly CellResult[]): string {
  if (results.length === 0) return '';
  const head = [
    'cell',
    'acked',
    'unknown',
    'failed',
    'lost',
    'duplicated',
    'reordered',
    'torn',
    'unseen',
    'availability',
    'longest gap',
    'full ISR after',
    'verdict',
  ];
  const rows = results.map((result, i) => {
    const { figures, fullIsrMs } = result;
    const cellsOfRow = [
      `<a href="#run-${i}">${escapeHtml(result.cell)}</a>`,
      figures.acked,
      figures.unknown,
      figures.failed,
      figures.lost,
      figures.duplicated,
      figures.reordered,
      figures.torn,
      result.unseen,
      `${(figures.availability * 100).toFixed(0)} %`,
      seconds(figures.longestGapMs),
      seconds(fullIsrMs),
      hasFailed(result) ? [...new Set(result.violations.map((violation) => violation.rule))].join(' ') : 'ok',
    ];
    return `<tr class="${hasFailed(result) ? 'bad' : ''}">${cellsOfRow.map((text) => `<td>${text}</td>`).join('')}</tr>`;
  });
  return `<table><thead><tr>${head.map((text) => `<th>${text}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function section(result: CellResult, i: number): string {
  const { cell, seed, network, figures, fullIsrMs, notes, directory } = result;
  const kept = hasFailed(result)
    ? `<p>kept in <code>${escapeHtml(directory)}</code>; again: <code>npm run chaos -- --cell ${escapeHtml(cell)} --seed ${seed} --once</code></p>`
    : '';
  const did = notes.map(({ atMs, text }) => `<li>${seconds(atMs)}: ${escapeHtml(text)}</li>`).join('');
  return `<section id="run-${i}"><h2>${escapeHtml(cell)}</h2>
<p>seed ${seed}, ${network} · ${figures.acked} acked · ${electionCount(result.changes, result.stopMs)} elections · longest gap ${seconds(figures.longestGapMs)} · full ISR after ${seconds(fullIsrMs)}</p>
${broken(result)}${kept}${timelineSvg(result)}
<ol>${did}</ol></section>`;
}

/** Each rule with what it asks for, below it what was found. */
function broken({ violations }: CellResult): string {
  const byRule = Map.groupBy(violations, ({ rule }) => rule);
  return [...byRule]
    .map(
      ([rule, list]) =>
        `<p class="bad">${escapeHtml(rule)}: ${escapeHtml(invariants[rule] ?? '')}</p><ul>${list.map(({ message }) => `<li>${escapeHtml(message)}</li>`).join('')}</ul>`,
    )
    .join('');
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? '—' : `${(ms / 1_000).toFixed(1)} s`;
}

const style = `
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 1180px; padding: 0 1rem; color: #1c2b33; }
h2 { margin: 2rem 0 .2rem; font-size: 1.1rem; } section p { margin: .2rem 0; color: #5b6b73; } li, pre { color: #43525a; } pre, code { font-size: 12px; } ol, ul { margin: .3rem 0; padding-left: 1.6rem; }
table { border-collapse: collapse; width: 100%; font-size: 12px; } th, td { text-align: right; padding: 2px 6px; border-bottom: 1px solid #dde4e8; } th { position: sticky; top: 0; background: #fff; }
th:first-child, td:first-child { text-align: left; } .good { color: #12734a; font-weight: 600; } .bad, .bad a, section p.bad { color: #b3261e; } p.bad { font-weight: 600; } tr:target, section:target h2 { background: #fff6d6; }
svg { width: 100%; height: auto; display: block; background: #fbfcfd; border: 1px solid #dde4e8; margin-top: .4rem; } svg text { font: 11px system-ui, sans-serif; fill: #5b6b73; } svg text.fault { fill: #b3261e; }
`;
