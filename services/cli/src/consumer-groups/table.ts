import type { TopicPartition } from '@naru/client';

export function byTopicPartition(a: TopicPartition, b: TopicPartition): number {
  if (a.topic === b.topic) return a.partition - b.partition;
  return a.topic < b.topic ? -1 : 1;
}

/** `widths`: negative: exactly (as printf's `%-Ns`), positive: at least, and as wide as the widest cell; 0: the last column, not padded. */
export function printTable(table: readonly (readonly string[])[], widths: readonly number[]): void {
  const resolved = widths.map((width, column) => {
    if (width <= 0) return -width;
    return Math.max(width, ...table.slice(1).map((row) => (row[column] ?? '').length));
  });
  const line = (row: readonly string[]): string => row.map((cell, i) => cell.padEnd(resolved[i] ?? 0)).join(' ');
  process.stdout.write(`\n${table.map(line).join('\n')}\n`);
}
