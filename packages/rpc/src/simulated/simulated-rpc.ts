import type { Address, Runtime } from '@naru/runtime';
import { bindingsByPath } from '../binding.ts';
import {
  type ConnectOptions,
  connectTimeoutMsDefault,
  defaultRpcLimits,
  type Rpc,
  type RpcChannel,
  type RpcHost,
  type RpcLimits,
  type RpcOptions,
  type RpcServer,
  type ServiceBinding,
} from '../rpc.ts';
import { connectSimulated } from './simulated-channel.ts';
import { SimulatedHost } from './simulated-host.ts';

/** The same calls and streams over the simulated network: deterministic, without a socket. */
export class SimulatedRpc implements Rpc {
  readonly #runtime: Runtime;
  readonly #onError: (error: unknown, path: string) => void;

  constructor(runtime: Runtime, options: RpcOptions) {
    this.#runtime = runtime;
    this.#onError = options.onError ?? (() => {});
  }

  async serve(address: Address, services: readonly ServiceBinding[], limits?: Partial<RpcLimits>): Promise<RpcServer> {
    const host = this.#host(services, limits);
    const listener = await this.#runtime.network.listen(address, (connection) => host.accept(connection, []));
    return {
      address: listener.address,
      close: async () => {
        await listener.close();
        await host.close();
      },
    };
  }

  host(services: readonly ServiceBinding[], limits?: Partial<RpcLimits>): RpcHost {
    return this.#host(services, limits);
  }

  connect(address: Address, options: ConnectOptions = {}): Promise<RpcChannel> {
    const { network, timers } = this.#runtime;
    const limits = { ...defaultRpcLimits, ...options.limits };
    return connectSimulated(network, timers, address, limits, options.timeoutMs ?? connectTimeoutMsDefault);
  }

  #host(services: readonly ServiceBinding[], limits?: Partial<RpcLimits>): SimulatedHost {
    const options = { timers: this.#runtime.timers, onError: this.#onError };
    return new SimulatedHost(bindingsByPath(services), { ...defaultRpcLimits, ...limits }, options);
  }
}
