import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  deliveryTimeoutMs,
  type OnRecord,
  type OnSent,
  type TestedClient,
  type TestedClientOptions,
  type TestedProducer,
} from './tested-client.ts';

/** Apache Kafka's own client in a process of its own (`JavaTraffic.java`), started at the place in the network where this process stands. */
export class JavaClient implements TestedClient {
  readonly #java: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #open = new Map<number, OnSent>();
  readonly #readers = new Map<number, OnRecord>();
  #sends = 0;
  #producers = 0;

  /** `classPath`: of Kafka's jars. */
  constructor({ servers, topic, partitions, acks, idempotence, compression }: TestedClientOptions, classPath: string) {
    const source = fileURLToPath(new URL('./JavaTraffic.java', import.meta.url));
    const options = [servers, topic, partitions, acks, idempotence, compression, deliveryTimeoutMs].map(String);
    this.#java = spawn('java', ['-Xmx256m', '-cp', classPath, source, ...options], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#ended = new Promise((resolve) => this.#java.once('close', () => resolve()));
    if (this.#java.stdout !== null) createInterface(this.#java.stdout).on('line', (line) => this.#heard(line));
    void this.#ended.then(() => this.#fail());
  }

  async producer(): Promise<TestedProducer> {
    const producer = this.#producers++;
    this.#say(`P ${producer}`);
    return {
      send: (partition, value, done) => {
        const send = this.#sends++;
        this.#open.set(send, done);
        this.#say(`S ${producer} ${send} ${partition} ${value}`);
      },
      // With the process.
      close: async () => {},
    };
  }

  async read(reader: number, onRecord: OnRecord, signal: AbortSignal): Promise<void> {
    this.#readers.set(reader, onRecord);
    this.#say(`R ${reader}`);
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    this.#readers.delete(reader);
  }

  async close(): Promise<void> {
    this.#java.stdin?.end();
    await this.#ended;
  }

  #say(line: string): void {
    this.#java.stdin?.write(`${line}\n`);
  }

  #heard(line: string): void {
    const [kind, first = '', second = '', third = '', value = ''] = line.split(' ');
    if (kind === 'R') {
      this.#readers.get(Number(first))?.(Number(second), Number(third), Buffer.from(value, 'base64'));
      return;
    }
    const done = this.#open.get(Number(first));
    this.#open.delete(Number(first));
    if (kind === 'A') done?.('acked', Number(second), undefined);
    else done?.(kind === 'F' ? 'failed' : 'unknown', -1, line);
  }

  #fail(): void {
    for (const done of this.#open.values()) done('unknown', -1, 'the Java process is gone');
    this.#open.clear();
  }
}
