/** Latency and rate of a producer, printed in the words of Kafka's ProducerPerformance. */
export class ProducerStats {
  readonly #intervalMs: number;
  readonly #began = performance.now();
  readonly #latencies: number[] = [];
  #bytes = 0;
  #window = new Window(this.#began);

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  record(sentMs: number, bytes: number): void {
    const now = performance.now();
    const latency = now - sentMs;
    this.#latencies.push(latency);
    this.#bytes += bytes;
    this.#window.add(latency, bytes);
    if (now - this.#window.began < this.#intervalMs) return;
    process.stdout.write(`${this.#window.text(now)}\n`);
    this.#window = new Window(now);
  }

  printTotal(): void {
    const elapsedSeconds = (performance.now() - this.#began) / 1000;
    const sorted = Float64Array.from(this.#latencies).sort();
    const count = sorted.length;
    const quantile = (q: number) => Math.round(sorted[Math.min(count - 1, Math.floor(q * count))] ?? 0);
    const average = count === 0 ? 0 : sorted.reduce((sum, value) => sum + value, 0) / count;
    process.stdout.write(
      `${count} records sent, ${(count / elapsedSeconds).toFixed(1)} records/sec (${megabytes(this.#bytes / elapsedSeconds)} MB/sec), ` +
        `${average.toFixed(2)} ms avg latency, ${(sorted[count - 1] ?? 0).toFixed(2)} ms max latency, ` +
        `${quantile(0.5)} ms 50th, ${quantile(0.95)} ms 95th, ${quantile(0.99)} ms 99th, ${quantile(0.999)} ms 99.9th.\n`,
    );
  }
}

class Window {
  readonly began: number;
  #count = 0;
  #bytes = 0;
  #sum = 0;
  #max = 0;

  constructor(began: number) {
    this.began = began;
  }

  add(latency: number, bytes: number): void {
    this.#count++;
    this.#bytes += bytes;
    this.#sum += latency;
    this.#max = Math.max(this.#max, latency);
  }

  text(now: number): string {
    const seconds = (now - this.began) / 1000;
    return (
      `${this.#count} records sent, ${(this.#count / seconds).toFixed(1)} records/sec (${megabytes(this.#bytes / seconds)} MB/sec), ` +
      `${(this.#sum / this.#count).toFixed(1)} ms avg latency, ${this.#max.toFixed(1)} ms max latency.`
    );
  }
}

/** Kafka's tools count a megabyte as 1024 × 1024 bytes. */
function megabytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(2);
}
