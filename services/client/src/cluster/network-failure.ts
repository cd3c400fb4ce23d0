import { RpcError } from '@naru/rpc';
import { NetworkError } from '@naru/runtime';

/** The connection, not the request, is what failed: trying another broker or the same one later makes sense. */
export function isNetworkFailure(error: unknown): boolean {
  if (error instanceof NetworkError) return true;
  return error instanceof RpcError && (error.code === 'unavailable' || error.code === 'cancelled');
}
