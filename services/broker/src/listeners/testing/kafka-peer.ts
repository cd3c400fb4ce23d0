import {
  type Api,
  type Decoded,
  decodeResponse,
  type Encodable,
  encodeRequest,
  type Fields,
  FrameSplitter,
  Reader,
} from '@naru/kafka-protocol';
import type { Address, Connection, Network } from '@naru/runtime';

const frameBytesMax = 64 * 1024 * 1024;

/** The other end of a connection of Kafka's protocol, for tests: sends what the test says and keeps what comes. */
export class KafkaPeer {
  readonly connection: Connection;
  /** Frames in the order in which they came, without their length. */
  readonly frames: Uint8Array[] = [];
  isClosed = false;
  readonly #splitter = new FrameSplitter(frameBytesMax);
  #correlationId = 0;

  constructor(connection: Connection) {
    this.connection = connection;
    connection.handle({
      onData: (bytes) => {
        this.#splitter.push(bytes);
        for (let frame = this.#splitter.next(); frame !== undefined; frame = this.#splitter.next())
          this.frames.push(frame);
      },
      onClose: () => {
        this.isClosed = true;
      },
    });
  }

  static async connect(network: Network, address: Address): Promise<KafkaPeer> {
    return new KafkaPeer(await network.connect(address));
  }

  /** Correlation ids of the answers so far. */
  get answered(): readonly number[] {
    return this.frames.map((frame) => new Reader(frame).int32());
  }

  sendRaw(bytes: Uint8Array | string): void {
    this.connection.write([typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes]);
  }

  /** Returns the correlation id. */
  send<Request extends Fields>(api: Api<Request, Fields>, version: number, request: Encodable<Request>): number {
    const correlationId = ++this.#correlationId;
    this.connection.write([Buffer.concat(encodeRequest(api, version, correlationId, 'test', request))]);
    return correlationId;
  }

  /** Undefined while it has not come. */
  response<Response extends Fields>(
    api: Api<Fields, Response>,
    version: number,
    correlationId: number,
  ): Decoded<Response> | undefined {
    const frame = this.frames.find((one) => new Reader(one).int32() === correlationId);
    return frame === undefined ? undefined : decodeResponse(api, version, frame).response;
  }
}
