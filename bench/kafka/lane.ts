import { type Api, encodeRequest, type Fields, FrameSplitter } from '@naru/kafka-protocol';
import type { Address, Connection, Network } from '@naru/runtime';

const frameBytesMax = 200 * 1024 * 1024;

/** One connection of Kafka's protocol that sends what it is given and hands over what comes, in raw frames: a client that costs next to nothing. */
export class Lane {
  readonly #connection: Connection;
  /** Frames without their length, in the order of the requests. */
  onAnswer: (frame: Uint8Array) => void = () => {};
  #isClosed = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    const frames = new FrameSplitter(frameBytesMax);
    connection.handle({
      onData: (bytes) => {
        frames.push(bytes);
        for (let frame = frames.next(); frame !== undefined; frame = frames.next()) this.onAnswer(frame);
        this.#flush();
      },
      onClose: () => {
        if (!this.#isClosed) throw new Error('the broker closed the connection');
      },
    });
  }

  static async connect(network: Network, address: Address): Promise<Lane> {
    return new Lane(await network.connect(address));
  }

  #waiting: Uint8Array[] = [];

  /** Leaves with others of the same answer, in one write. */
  send(frame: Uint8Array): void {
    this.#waiting.push(frame);
  }

  /** The first requests, which follow no answer. */
  sendNow(...frames: readonly Uint8Array[]): void {
    this.#waiting.push(...frames);
    this.#flush();
  }

  #flush(): void {
    if (this.#waiting.length > 0 && !this.#isClosed) this.#connection.write(this.#waiting);
    this.#waiting = [];
  }

  close(): void {
    this.#isClosed = true;
    this.#connection.destroy();
  }
}

/** A request as it goes over the wire; may be sent any number of times. */
export function frameOf<Request extends Fields>(
  api: Api<Request, Fields>,
  version: number,
  request: Parameters<typeof encodeRequest<Request>>[4],
): Uint8Array {
  return Buffer.concat(encodeRequest(api, version, 1, 'bench', request));
}
