import type { CellResult, SkippedCell } from '../run/result.ts';
import { timelineSvg } from './timeline.ts';

/** One page without any other file: figures of all runs, then a timeline for each. */
export function reportHtml(
  results: readonly CellResult[],
  skipped: readonly SkippedCell[],
  host: readonly string[],
): string {
  const failed = results.filter((result) => result.violations.length > 0).length;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Naru under fire</title><style>${style}</style></head><body>
<h1>Naru under fire</h1>
<p class="${failed === 0 ? 'good' : 'bad'}">${results.length} runs, ${failed === 0 ? 'none failed' : `${failed} failed`}${skipped.length > 0 ? `, ${skipped.length} cells skipped` : ''}</p>
<ul>${host.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul>
${figuresTable(results)}
${skipped.length > 0 ? `<h2>Skipped</h2><ul>${skipped.map(({ cell, reason }) => `<li>${escapeHtml(cell)}: ${escapeHtml(reason)}</li>`).join('')}</ul>` : ''}
${results.map(section).join('\n')}
</body></html>
`;
}

function figuresTable(results: readonly CellResult[]): string {
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
    const { figures, violations, fullIsrMs } = result;
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
      `${(figures.longestGapMs / 1_000).toFixed(1)} s`,
      fullIsrMs === undefined ? '—' : `${(fullIsrMs / 1_000).toFixed(1)} s`,
      violations.length === 0 ? 'ok' : [...new Set(violations.map((violation) => violation.rule))].join(' '),
    ];
    return `<tr class="${violations.length === 0 ? '' : 'bad'}">${cellsOfRow.map((text) => `<td>${text}</td>`).join('')}</tr>`;
  });
  return `<table><tr>${head.map((text) => `<th>${text}</th>`).join('')}</tr>${rows.join('')}</table>`;
}

function section(result: CellResult, i: number): string {
  const violations = result.violations
    .map(({ rule, message }) => `<li class="bad"><b>${escapeHtml(rule)}</b> ${escapeHtml(message)}</li>`)
    .join('');
  const notes = result.notes
    .map(({ atMs, text }) => `<li>${(atMs / 1_000).toFixed(1)} s: ${escapeHtml(text)}</li>`)
    .join('');
  return `<section id="run-${i}"><h2>${escapeHtml(result.cell)}</h2>
<p>seed ${result.seed}, ${result.network}${result.violations.length > 0 ? `, kept in ${escapeHtml(result.directory)}` : ''}</p>
${timelineSvg(result)}
<ul>${violations}${notes}</ul></section>`;
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const style = `
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 1180px; padding: 0 1rem; color: #1c2b33; }
h2 { margin: 2rem 0 .2rem; font-size: 1.1rem; } section p { margin: 0; color: #5b6b73; }
table { border-collapse: collapse; width: 100%; font-size: 12px; } th, td { text-align: right; padding: 2px 6px; border-bottom: 1px solid #dde4e8; }
th:first-child, td:first-child { text-align: left; } .good { color: #12734a; font-weight: 600; } .bad, .bad a { color: #b3261e; } p.bad { font-weight: 600; }
svg { width: 100%; height: auto; display: block; background: #fbfcfd; border: 1px solid #dde4e8; margin-top: .4rem; } svg text { font: 11px system-ui, sans-serif; fill: #5b6b73; }
`;
