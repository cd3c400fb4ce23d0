import { ConfigError } from '@naru/config';
import { type Endpoint, parseEndpointUri, type SecurityProtocol, securityProtocols } from './cluster/endpoint.ts';

/** The settings by which a broker's listeners are described (KIP-103, KIP-291). */
export interface ListenerSettings {
  readonly listeners: readonly string[];
  readonly 'advertised.listeners': readonly string[] | undefined;
  readonly 'listener.security.protocol.map': readonly string[];
  readonly 'inter.broker.listener.name': string | undefined;
  readonly 'security.inter.broker.protocol': SecurityProtocol | undefined;
}

export interface Listeners {
  /** To bind. Port 0: a free one. */
  readonly bound: readonly Endpoint[];
  /** To tell others. Port 0: the one that was bound; no host: the machine's name. */
  readonly advertised: readonly Endpoint[];
  /** Name of the one by which brokers reach each other. */
  readonly interBroker: string;
}

/** By Kafka's rules (`SocketServerConfigs`, `KafkaConfig.validateValues`). Throws `ConfigError`. */
export function parseListeners(settings: ListenerSettings): Listeners {
  const protocols = protocolsByName(settings['listener.security.protocol.map']);
  const bound = endpointsOf('listeners', settings.listeners, protocols);
  requireDistinctPorts(bound, settings.listeners);
  const given = settings['advertised.listeners'];
  const advertised = given === undefined ? bound : endpointsOf('advertised.listeners', given, protocols);
  requireAdvertisable(bound, advertised);
  for (const { listener, protocol } of bound) {
    if (protocol === 'PLAINTEXT') continue;
    fail(
      'listeners',
      `listener ${listener} uses ${protocol}, which is not supported yet; listeners can only use PLAINTEXT`,
    );
  }
  return { bound, advertised, interBroker: interBrokerOf(settings, advertised) };
}

function fail(key: string, message: string): never {
  throw new ConfigError(key, message);
}

function namesOf(endpoints: readonly Endpoint[]): string {
  return endpoints.map(({ listener }) => listener).join(',');
}

function protocolsByName(items: readonly string[]): ReadonlyMap<string, SecurityProtocol> {
  const key = 'listener.security.protocol.map';
  const protocols = new Map<string, SecurityProtocol>();
  for (const item of items) {
    const [name = '', value, ...rest] = item.split(':').map((part) => part.trim().toUpperCase());
    const protocol = securityProtocols.find((known) => known === value);
    if (name === '' || value === undefined || rest.length > 0)
      fail(key, `'${key}' has '${item}', which is not NAME:PROTOCOL`);
    if (protocol === undefined) {
      fail(key, `'${key}' has the unknown security protocol ${value}; there are ${securityProtocols.join(', ')}`);
    }
    if (protocols.has(name)) fail(key, `'${key}' names listener ${name} twice`);
    protocols.set(name, protocol);
  }
  return protocols;
}

function endpointsOf(
  key: string,
  uris: readonly string[],
  protocols: ReadonlyMap<string, SecurityProtocol>,
): readonly Endpoint[] {
  if (uris.length === 0) fail(key, `'${key}' must name at least one listener, as PLAINTEXT://host:9092`);
  const endpoints = uris.map((uri) => {
    const parsed = parseEndpointUri(uri);
    if (parsed === undefined)
      fail(key, `'${key}' has '${uri}', which is not NAME://host:port, as PLAINTEXT://host:9092`);
    const protocol = protocols.get(parsed.listener);
    if (protocol === undefined) {
      const map = 'listener.security.protocol.map';
      fail(
        key,
        `no security protocol is defined for listener ${parsed.listener}; add ${parsed.listener}:PLAINTEXT to ${map}`,
      );
    }
    return { ...parsed, protocol };
  });
  if (new Set(endpoints.map(({ listener }) => listener)).size < endpoints.length) {
    fail(key, `each listener must have a different name, ${key}: ${uris.join(',')}`);
  }
  return endpoints;
}

/** Two listeners may share a port when one has an IPv4 and the other an IPv6 address (KIP-797). */
function requireDistinctPorts(bound: readonly Endpoint[], uris: readonly string[]): void {
  for (const [i, { address: one }] of bound.entries()) {
    for (const { address: other } of bound.slice(i + 1)) {
      if (one.port === 0 || one.port !== other.port) continue;
      const isIpv4 = [one, other].filter(({ host }) => /^[\d.]+$/.test(host)).length;
      const isIpv6 = [one, other].filter(({ host }) => host.includes(':')).length;
      if (isIpv4 === 1 && isIpv6 === 1) continue;
      fail(
        'listeners',
        `each listener must have a different port, unless one has an IPv4 and the other an IPv6 address, listeners: ${uris.join(',')}`,
      );
    }
  }
}

function requireAdvertisable(bound: readonly Endpoint[], advertised: readonly Endpoint[]): void {
  const key = 'advertised.listeners';
  for (const { listener, address } of advertised) {
    if (!bound.some((endpoint) => endpoint.listener === listener)) {
      fail(
        key,
        `${key} must be the listeners that are defined in listeners, or some of them: found ${namesOf(advertised)}, defined are ${namesOf(bound)}`,
      );
    }
    if (address.host === '0.0.0.0' || address.host === '::') {
      fail(
        key,
        `${key} cannot use the nonroutable meta-address ${address.host} (listener ${listener}); use an address or a name that clients can reach`,
      );
    }
  }
}

function interBrokerOf(settings: ListenerSettings, advertised: readonly Endpoint[]): string {
  const key = 'inter.broker.listener.name';
  const { [key]: given, 'security.inter.broker.protocol': protocol } = settings;
  if (given !== undefined && protocol !== undefined) {
    fail(key, `only one of ${key} and security.inter.broker.protocol can be set`);
  }
  const name = (given ?? protocol ?? 'PLAINTEXT').toUpperCase();
  if (!advertised.some(({ listener }) => listener === name)) {
    fail(
      key,
      `${key} must be a listener name defined in advertised.listeners: it is ${name}, defined are ${namesOf(advertised)}`,
    );
  }
  return name;
}
