import { expect, test } from 'vitest';
import { Metrics } from './metrics.ts';

test("prints Prometheus' text format with escaped labels", () => {
  const metrics = new Metrics();
  const requests = metrics.counter('requests_total', 'Requests\nserved', { api: 'a"b\\c\n' });
  metrics.gauge('leaders', 'Leaders', () => 3);
  requests.add();
  requests.add(2);
  expect(metrics.format()).toBe(
    '# HELP requests_total Requests\\nserved\n# TYPE requests_total counter\nrequests_total{api="a\\"b\\\\c\\n"} 3\n' +
      '# HELP leaders Leaders\n# TYPE leaders gauge\nleaders 3\n',
  );
});

test('quantiles are within 6 % over nine orders of magnitude', () => {
  const latency = new Metrics().distribution('latency_ms', 'Latency');
  for (let i = 1; i <= 10_000; i++) latency.observe(i / 100);
  for (const [q, exact] of [
    [0.5, 50],
    [0.99, 99],
    [0.999, 99.9],
  ] as const) {
    expect(Math.abs(latency.quantile(q) / exact - 1)).toBeLessThan(0.06);
  }
  expect(latency.quantile(0)).toBeLessThan(0.011);
  expect(latency.count).toBe(10_000);
});

test('a series is registered once and can be removed', () => {
  const metrics = new Metrics();
  metrics.gauge('size', 'Size', () => 1, { topic: 't' });
  expect(() => metrics.gauge('size', 'Size', () => 1, { topic: 't' })).toThrow('registered twice');
  metrics.remove('size', { topic: 't' });
  metrics.gauge('size', 'Size', () => 2, { topic: 't' });
  expect(metrics.format()).toContain('size{topic="t"} 2');
});
