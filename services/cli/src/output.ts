import { once } from 'node:events';

/** Gathers small pieces of output into large writes; `flush` waits while the reader of a pipe is slow. */
export class Output {
  readonly #stream: NodeJS.WritableStream;
  #parts: Uint8Array[] = [];

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
  }

  write(part: string | Uint8Array): void {
    this.#parts.push(typeof part === 'string' ? Buffer.from(part) : part);
  }

  async flush(): Promise<void> {
    if (this.#parts.length === 0) return;
    const parts = this.#parts;
    this.#parts = [];
    if (!this.#stream.write(Buffer.concat(parts))) await once(this.#stream, 'drain');
  }
}
