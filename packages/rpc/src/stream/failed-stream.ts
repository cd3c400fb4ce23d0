import type { RpcStream, StreamEvents } from '../rpc.ts';
import type { RpcError } from '../status.ts';

/** A stream that could not be opened: its only event is `onClose`. */
export function failedStream<Out, In>(error: RpcError): RpcStream<Out, In> {
  return {
    handle: (handler: StreamEvents<In>) => queueMicrotask(() => handler.onClose(error)),
    send: () => false,
    pendingBytes: 0,
    end: () => {},
    fail: () => {},
    pause: () => {},
    resume: () => {},
  };
}
