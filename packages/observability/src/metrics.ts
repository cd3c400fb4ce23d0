/** Label names and values of one time series. */
export type Labels = Readonly<Record<string, string>>;

type Kind = 'counter' | 'gauge' | 'summary';

/** Only grows. */
export interface Counter {
  add(amount?: number): void;
  readonly value: number;
}

/** Observations as a histogram in steps of 1/16 of a power of two: quantiles within 6 %, no allocation per observation. */
export interface Distribution {
  observe(value: number): void;
  readonly count: number;
  readonly sum: number;
  /** `q` in [0, 1]; 0 before the first observation. */
  quantile(q: number): number;
}

interface Series {
  readonly labels: Labels;
  readonly sample: () => readonly (readonly [suffix: string, extra: Labels, value: number])[];
}

interface Family {
  readonly name: string;
  readonly kind: Kind;
  readonly help: string;
  readonly series: Map<string, Series>;
}

/** Time series at once in one registry: a guard against labels that grow without end. */
const seriesPerFamilyMax = 20_000;

/** The metrics of one process, printed in Prometheus' text format (version 0.0.4). */
export class Metrics {
  readonly #families = new Map<string, Family>();

  counter(name: string, help: string, labels: Labels = {}): Counter {
    const counter = {
      value: 0,
      add(amount = 1): void {
        counter.value += amount;
      },
    };
    this.#register(name, 'counter', help, labels, () => [['', {}, counter.value]]);
    return counter;
  }

  /** A value that is read when it is asked for. */
  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    this.#register(name, 'gauge', help, labels, () => [['', {}, read()]]);
  }

  distribution(name: string, help: string, labels: Labels = {}): Distribution {
    const distribution = new LogHistogram();
    this.#register(name, 'summary', help, labels, () => [
      ...[0.5, 0.95, 0.99, 0.999].map((q) => ['', { quantile: String(q) }, distribution.quantile(q)] as const),
      ['_sum', {}, distribution.sum],
      ['_count', {}, distribution.count],
    ]);
    return distribution;
  }

  /** Forgets the series with these labels, of a partition that is gone. */
  remove(name: string, labels: Labels): void {
    this.#families.get(name)?.series.delete(labelText(labels));
  }

  format(): string {
    let text = '';
    for (const family of this.#families.values()) {
      text += `# HELP ${family.name} ${family.help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}\n# TYPE ${family.name} ${family.kind}\n`;
      for (const series of family.series.values()) {
        for (const [suffix, extra, value] of series.sample()) {
          text += `${family.name}${suffix}${labelText({ ...series.labels, ...extra })} ${formatValue(value)}\n`;
        }
      }
    }
    return text;
  }

  #register(name: string, kind: Kind, help: string, labels: Labels, sample: Series['sample']): void {
    const family = this.#families.get(name) ?? { name, kind, help, series: new Map<string, Series>() };
    if (family.kind !== kind) throw new TypeError(`metric ${name} is a ${family.kind}, not a ${kind}`);
    const key = labelText(labels);
    if (family.series.has(key)) throw new TypeError(`metric ${name}${key} is registered twice`);
    if (family.series.size >= seriesPerFamilyMax)
      throw new RangeError(`metric ${name} has ${seriesPerFamilyMax} series already`);
    family.series.set(key, { labels, sample });
    this.#families.set(name, family);
  }
}

const stepsPerDoubling = 16;
const smallest = 2 ** -20;

class LogHistogram implements Distribution {
  count = 0;
  sum = 0;
  readonly #buckets = new Float64Array(64 * stepsPerDoubling);

  observe(value: number): void {
    this.count++;
    this.sum += value;
    const step = Math.ceil(Math.log2(Math.max(value, smallest) / smallest) * stepsPerDoubling);
    const index = Math.min(Math.max(step, 0), this.#buckets.length - 1);
    this.#buckets[index] = (this.#buckets[index] as number) + 1;
  }

  quantile(q: number): number {
    if (this.count === 0) return 0;
    let remaining = Math.max(1, Math.ceil(q * this.count));
    for (let i = 0; i < this.#buckets.length; i++) {
      remaining -= this.#buckets[i] as number;
      if (remaining <= 0) return smallest * 2 ** (i / stepsPerDoubling);
    }
    return 0;
  }
}

function labelText(labels: Labels): string {
  const names = Object.keys(labels).sort();
  if (names.length === 0) return '';
  return `{${names.map((name) => `${name}="${escapeLabel(labels[name] as string)}"`).join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
}

function formatValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}
