import { type Address, formatAddress, NetworkError, type NetworkErrorCode } from '../network.ts';

interface Meaning {
  readonly code: NetworkErrorCode;
  readonly text: string;
}

const meanings: Readonly<Record<string, Meaning>> = {
  EADDRINUSE: { code: 'address-in-use', text: 'the address is in use' },
  EADDRNOTAVAIL: { code: 'unreachable', text: 'no such address on this machine' },
  EACCES: { code: 'not-permitted', text: 'permission denied' },
  EPERM: { code: 'not-permitted', text: 'operation not permitted' },
  ECONNREFUSED: { code: 'refused', text: 'connection refused' },
  ECONNRESET: { code: 'reset', text: 'the connection was reset' },
  EPIPE: { code: 'reset', text: 'the connection was reset' },
  ECONNABORTED: { code: 'reset', text: 'the connection was aborted' },
  ETIMEDOUT: { code: 'timeout', text: 'timed out' },
  EHOSTUNREACH: { code: 'unreachable', text: 'no route to the host' },
  ENETUNREACH: { code: 'unreachable', text: 'no route to the network' },
  EHOSTDOWN: { code: 'unreachable', text: 'the host is down' },
  ENOTFOUND: { code: 'unreachable', text: 'the host name is not known' },
  EAI_AGAIN: { code: 'unreachable', text: 'the host name could not be looked up' },
};

/** The system's error as one line: what was tried (`cannot connect to`, …), on which address, why it failed. What is not known counts as unreachable. */
export function toNetworkError(error: unknown, what: string, address: Address): NetworkError {
  if (error instanceof NetworkError) return error;
  const { code: system, message } = error as { readonly code?: string; readonly message?: string };
  const known = system === undefined ? undefined : meanings[system];
  const text = known ? `${known.text} (${system})` : (message ?? String(error));
  return new NetworkError(known?.code ?? 'unreachable', `${what} ${formatAddress(address)}: ${text}`, { cause: error });
}
