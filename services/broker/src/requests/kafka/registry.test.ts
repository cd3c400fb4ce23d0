import { describe, expect, test } from 'vitest';
import { apiTable } from './api-table.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { kafkaRegistry } from './registry.ts';

const registry = kafkaRegistry({} as KafkaDependencies);

describe('the registry of APIs', () => {
  test('serves only versions that are declared', () => {
    for (const { api, versions } of registry.values()) {
      expect(versions.min, api.name).toBeGreaterThanOrEqual(api.versions.min);
      expect(versions.max, api.name).toBeLessThanOrEqual(api.versions.max);
    }
  });

  test('begins where old clients need it (kafka-protocol.md §3)', () => {
    const minOf = (key: number) => registry.get(key)?.versions.min;
    // librdkafka before 2.11 compresses only when Produce 0 is advertised; Fetch below 4 would promise old message formats.
    expect([minOf(0), minOf(1), minOf(2), minOf(3)]).toEqual([0, 4, 1, 0]);
    // sarama's old releases administrate with version 0, whatever is advertised.
    expect([19, 20, 32, 33, 37].map(minOf)).toEqual([0, 0, 0, 0, 0]);
  });

  test('the table in API.md is the registry (vitest -u writes it)', async () => {
    await expect(apiTable(registry)).toMatchFileSnapshot('./API.md');
  });
});
