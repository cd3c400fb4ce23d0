import type { StreamMethod, UnaryMethod } from './method.ts';
import type { ServiceBinding, StreamHandler, UnaryHandler } from './rpc.ts';

/** What both transports see of a binding; the types met in `unary()` and `stream()`. */
export type Binding =
  | {
      readonly kind: 'unary';
      readonly path: string;
      readonly method: UnaryMethod<unknown, unknown>;
      readonly handler: UnaryHandler<unknown, unknown>;
    }
  | {
      readonly kind: 'stream';
      readonly path: string;
      readonly method: StreamMethod<unknown, unknown>;
      readonly handler: StreamHandler<unknown, unknown>;
    };

/** A call with one request and one answer, and who answers it. */
export function unary<Request, Response>(
  method: UnaryMethod<Request, Response>,
  handler: UnaryHandler<Request, Response>,
): ServiceBinding {
  return { kind: 'unary', path: method.path, method, handler } as ServiceBinding;
}

/** A stream in both directions, and who takes each new one. */
export function stream<Request, Response>(
  method: StreamMethod<Request, Response>,
  handler: StreamHandler<Request, Response>,
): ServiceBinding {
  return { kind: 'stream', path: method.path, method, handler } as ServiceBinding;
}

/** The bindings by path. Throws when two serve the same path. */
export function bindingsByPath(services: readonly ServiceBinding[]): ReadonlyMap<string, Binding> {
  const bindings = new Map<string, Binding>();
  for (const service of services as readonly Binding[]) {
    if (bindings.has(service.path)) throw new Error(`two handlers for ${service.path}`);
    bindings.set(service.path, service);
  }
  return bindings;
}
