import { type Address, formatAddress } from '@naru/runtime';

export const securityProtocols = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] as const;
export type SecurityProtocol = (typeof securityProtocols)[number];

/** One listener of a broker, or its address as others are told. */
export interface Endpoint {
  /** Name of the listener, in capitals. */
  readonly listener: string;
  readonly protocol: SecurityProtocol;
  /** The host is empty where every address of the machine is meant. */
  readonly address: Address;
}

/** The address of a broker's listener; undefined when the broker has none of that name: nobody who came by this listener can reach it. */
export function addressOf(
  { endpoints }: { readonly endpoints: readonly Endpoint[] },
  listener: string,
): Address | undefined {
  return endpoints.find((endpoint) => endpoint.listener === listener)?.address;
}

const portMax = 65_535;

/** `NAME://host:port`, as in `listeners`; an IPv6 address may stand in brackets. Undefined when it is not that. */
export function parseEndpointUri(uri: string): Omit<Endpoint, 'protocol'> | undefined {
  const [, listener, bracketed, plain, port] =
    /^([^:/]+):\/\/(?:\[([\w\-%.:]+)\]|([\w\-%.:]*)):(\d{1,5})$/.exec(uri) ?? [];
  if (listener === undefined || Number(port) > portMax) return undefined;
  return { listener: listener.toUpperCase(), address: { host: bracketed ?? plain ?? '', port: Number(port) } };
}

export function formatEndpointUri({ listener, address }: Omit<Endpoint, 'protocol'>): string {
  return `${listener}://${formatAddress(address)}`;
}
