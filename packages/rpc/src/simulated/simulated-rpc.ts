import type { Address, Runtime } from '@naru/runtime';
import type {
  ConnectOptions,
  Rpc,
  RpcChannel,
  RpcHost,
  RpcLimits,
  RpcOptions,
  RpcServer,
  ServiceBinding,
} from '../rpc.ts';
import { RpcError } from '../status.ts';

export class SimulatedRpc implements Rpc {
  constructor(_runtime: Runtime, _options: RpcOptions) {}

  serve(_address: Address, _services: readonly ServiceBinding[], _limits?: Partial<RpcLimits>): Promise<RpcServer> {
    throw new RpcError('unimplemented', 'not here yet');
  }

  host(_services: readonly ServiceBinding[], _limits?: Partial<RpcLimits>): RpcHost {
    throw new RpcError('unimplemented', 'not here yet');
  }

  connect(_address: Address, _options?: ConnectOptions): Promise<RpcChannel> {
    throw new RpcError('unimplemented', 'not here yet');
  }
}
