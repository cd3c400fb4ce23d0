import type { Runtime } from '@naru/runtime';
import type { Rpc, RpcOptions } from './rpc.ts';
import { SimulatedRpc } from './simulated/simulated-rpc.ts';
import { WireRpc } from './wire/wire-rpc.ts';

/** gRPC's wire format on the sockets of a real network; frames of its own on a simulated one. */
export function createRpc(runtime: Runtime, options: RpcOptions = {}): Rpc {
  switch (runtime.network.kind) {
    case 'node':
      return new WireRpc(runtime, options);
    case 'simulated':
      return new SimulatedRpc(runtime, options);
  }
}
