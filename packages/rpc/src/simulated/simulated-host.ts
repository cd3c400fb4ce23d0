import type { Address, Connection } from '@naru/runtime';
import type { Binding } from '../binding.ts';
import type { RpcLimits } from '../rpc.ts';
import { RpcError } from '../status.ts';
import { failByHandler, type ServeOptions, serveStream } from '../stream/serve.ts';
import { type Frame, frameKinds, preface } from './frames.ts';
import { noDeadline } from './simulated-channel.ts';
import { SimulatedConnection } from './simulated-connection.ts';
import { SimulatedStream } from './simulated-stream.ts';

const unservedCodec = { encode: () => [], decode: () => undefined };

/** The server's side of any number of connections, whoever accepted them. */
export class SimulatedHost {
  readonly #bindings: ReadonlyMap<string, Binding>;
  readonly #limits: RpcLimits;
  readonly #options: ServeOptions;
  readonly #connections = new Set<SimulatedConnection>();
  #closing = false;
  #whenEmpty: (() => void) | undefined;

  constructor(bindings: ReadonlyMap<string, Binding>, limits: RpcLimits, options: ServeOptions) {
    this.#bindings = bindings;
    this.#limits = limits;
    this.#options = options;
  }

  accept(connection: Connection, head: readonly Uint8Array[], onClose?: () => void): void {
    if (this.#closing || this.#connections.size >= this.#limits.connectionsMax) {
      connection.destroy();
      onClose?.();
      return;
    }
    const { remote } = connection;
    const link = new SimulatedConnection('server', connection, preface, this.#limits, this.#options.timers, {
      onFrame: (frame) => this.#onFrame(link, remote, frame),
      onClose: () => {
        this.#onClose(link);
        onClose?.();
      },
    });
    this.#connections.add(link);
    link.sendFrame(frameKinds.hello, 0, []);
    link.start(head);
  }

  close(): Promise<void> {
    this.#closing = true;
    if (this.#connections.size === 0) return Promise.resolve();
    const closed = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
    });
    for (const link of [...this.#connections]) link.close(new RpcError('unavailable', 'the server is closing'));
    return closed;
  }

  #onClose(link: SimulatedConnection): void {
    this.#connections.delete(link);
    if (this.#connections.size === 0) this.#whenEmpty?.();
  }

  #onFrame(link: SimulatedConnection, remote: Address, frame: Frame): void {
    // Frames of a stream that ended here meanwhile are of no interest.
    if (frame.kind !== frameKinds.open || this.#closing) return;
    const payload = Buffer.from(frame.payload.buffer, frame.payload.byteOffset, frame.payload.byteLength);
    if (payload.length < 4) {
      link.destroy();
      return;
    }
    const deadline = payload.readUInt32BE(0);
    const path = payload.toString('utf8', 4);
    const binding = this.#bindings.get(path);
    const codecs = {
      out: binding?.method.response ?? unservedCodec,
      in: binding?.method.request ?? unservedCodec,
    };
    const stream: SimulatedStream<unknown, unknown> = new SimulatedStream(frame.stream, codecs, link, (error) => {
      failByHandler(stream, path, error, this.#options);
    });
    if (binding === undefined) {
      stream.fail(new RpcError('unimplemented', `no such method: ${path}`));
      return;
    }
    if (link.streams.size >= this.#limits.concurrentStreamsMax) {
      stream.fail(new RpcError('unavailable', 'too many streams on the connection'));
      return;
    }
    link.streams.set(frame.stream, stream);
    link.idleness.opened();
    const timeoutMs = deadline === noDeadline ? undefined : deadline;
    serveStream(binding, stream, { remote, timeoutMs }, this.#options);
  }
}
