import type { VersionRange } from '@naru/kafka-protocol';
import type { KafkaRegistry } from './registry.ts';

/** The registry as a table of Markdown: what is advertised, from when on flexible, and what an authorizer will ask for. */
export function apiTable(registry: KafkaRegistry): string {
  const rows = [...registry.values()].map(({ api, versions, authorization, overlappingMax }) => {
    const order = overlappingMax > 0 ? 'overlaps' : 'alone';
    return `| ${api.key} | ${api.name} | ${rangeOf(versions)} | ${flexibleFrom(api.flexible, versions)} | ${order} | ${authorization} |`;
  });
  return [
    '| key | API | versions | flexible from | on its connection | authorization |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function rangeOf({ min, max }: VersionRange): string {
  return min === max ? String(min) : `${min}–${max}`;
}

function flexibleFrom(flexible: VersionRange, { max }: VersionRange): string {
  return flexible.min <= max ? String(flexible.min) : 'never';
}
