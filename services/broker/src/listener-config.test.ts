import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseBrokerConfig } from './broker-config.ts';
import { formatEndpointUri, parseEndpointUri } from './cluster/endpoint.ts';

const parse = (settings: Readonly<Record<string, string>>) =>
  parseBrokerConfig({ 'broker.id': 1, ...settings }).listening;

const own = { 'listener.security.protocol.map': 'EXTERNAL:PLAINTEXT,INTERNAL:PLAINTEXT,SECURE:SASL_SSL' };
const two = {
  ...own,
  listeners: 'EXTERNAL://:9092,INTERNAL://:9093',
  'inter.broker.listener.name': 'INTERNAL',
};

describe('listeners (KIP-103)', () => {
  test('by default one on the loopback interface, for clients and brokers', () => {
    const address = { host: '127.0.0.1', port: 9092 };
    const endpoint = { listener: 'PLAINTEXT', protocol: 'PLAINTEXT', address };
    expect(parse({})).toEqual({ bound: [endpoint], advertised: [endpoint], interBroker: 'PLAINTEXT' });
  });

  test('several, of which others are told other addresses', () => {
    const advertised = { 'advertised.listeners': 'external://logs.example:19092, INTERNAL://b1:9093' };
    const {
      bound,
      advertised: told,
      interBroker,
    } = parse({
      ...two,
      ...advertised,
      listeners: 'EXTERNAL://0.0.0.0:9092,INTERNAL://:9093',
    });
    expect(bound.map(formatEndpointUri)).toEqual(['EXTERNAL://0.0.0.0:9092', 'INTERNAL://:9093']);
    expect(told.map(formatEndpointUri)).toEqual(['EXTERNAL://logs.example:19092', 'INTERNAL://b1:9093']);
    expect(interBroker).toBe('INTERNAL');
  });

  test('the inter-broker listener is the one named as security.inter.broker.protocol', () => {
    expect(parse({ 'security.inter.broker.protocol': 'PLAINTEXT' }).interBroker).toBe('PLAINTEXT');
  });

  test('IPv6 in brackets; the same port for an IPv4 and an IPv6 address (KIP-797); advertised ports may be the same', () => {
    const settings = { ...own, 'inter.broker.listener.name': 'INTERNAL' };
    expect(
      parse({ ...settings, listeners: 'EXTERNAL://[::1]:9092,INTERNAL://127.0.0.1:9092' }).bound[0]?.address,
    ).toEqual({
      host: '::1',
      port: 9092,
    });
    const advertised = { 'advertised.listeners': 'EXTERNAL://lb:9092,INTERNAL://lb:9092' };
    expect(parse({ ...two, ...advertised }).advertised).toHaveLength(2);
  });

  test('port 0 may be there twice', () => {
    const free = { ...own, 'inter.broker.listener.name': 'INTERNAL', listeners: 'EXTERNAL://a:0,INTERNAL://a:0' };
    expect(parse(free).bound).toHaveLength(2);
  });

  test.each([
    [{ listeners: '' }, "'listeners' must name at least one listener"],
    [{ listeners: 'PLAINTEXT' }, "'listeners' has 'PLAINTEXT', which is not NAME://host:port"],
    [{ listeners: 'PLAINTEXT://a:70000' }, 'which is not NAME://host:port'],
    [{ listeners: 'PLAINTEXT://a b:9092' }, 'which is not NAME://host:port'],
    [{ listeners: 'OTHER://a:9092' }, 'no security protocol is defined for listener OTHER; add OTHER:PLAINTEXT'],
    [{ listeners: 'PLAINTEXT://a:9092,PLAINTEXT://a:9093' }, 'each listener must have a different name'],
    [{ ...two, listeners: 'EXTERNAL://a:9092,INTERNAL://b:9092' }, 'each listener must have a different port'],
    [{ ...two, listeners: 'EXTERNAL://[::1]:9092,INTERNAL://[::2]:9092' }, 'each listener must have a different port'],
    [{ listeners: 'PLAINTEXT://0.0.0.0:9092' }, 'advertised.listeners cannot use the nonroutable meta-address 0.0.0.0'],
    [{ 'advertised.listeners': 'PLAINTEXT://[::]:9092' }, 'cannot use the nonroutable meta-address ::'],
    [
      { ...two, 'advertised.listeners': 'SECURE://a:1,INTERNAL://a:2' },
      'must be the listeners that are defined in listeners, or some of them: found SECURE,INTERNAL, defined are EXTERNAL,INTERNAL',
    ],
    [
      { ...two, 'advertised.listeners': 'EXTERNAL://a:1' },
      'inter.broker.listener.name must be a listener name defined in advertised.listeners: it is INTERNAL, defined are EXTERNAL',
    ],
    [
      { ...own, listeners: 'EXTERNAL://a:1', 'inter.broker.listener.name': 'INTERNAL' },
      'inter.broker.listener.name must be a listener name',
    ],
    [{ listeners: 'SSL://a:1,PLAINTEXT://a:2' }, 'listener SSL uses SSL, which is not supported yet'],
    [
      { ...own, listeners: 'SECURE://a:1', 'inter.broker.listener.name': 'SECURE' },
      'listener SECURE uses SASL_SSL, which is not supported yet; listeners can only use PLAINTEXT',
    ],
    [{ 'listener.security.protocol.map': 'A:TLS' }, 'has the unknown security protocol TLS; there are PLAINTEXT, SSL'],
    [{ 'listener.security.protocol.map': 'A' }, "has 'A', which is not NAME:PROTOCOL"],
    [{ 'listener.security.protocol.map': 'A:SSL,a:SSL' }, 'names listener A twice'],
    [{ ...two, 'security.inter.broker.protocol': 'PLAINTEXT' }, 'only one of inter.broker.listener.name and'],
    [{ 'max.connections.per.ip.overrides': '127.0.0.1' }, "has '127.0.0.1', which is not address:count"],
  ])('%j is refused', (settings, message) => {
    expect(() => parse(settings)).toThrow(message);
  });

  test('an endpoint that is written is read back, and no text makes the parser fail', () => {
    const host = fc.oneof(
      fc.domain(),
      fc.ipV4(),
      fc.ipV6().filter((ip) => !ip.includes('.')),
      fc.constant(''),
    );
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65_535 }), (host, port) => {
        const endpoint = { listener: 'L_1', address: { host, port } };
        expect(parseEndpointUri(formatEndpointUri(endpoint))).toEqual(endpoint);
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => void parseEndpointUri(text)));
  });
});

test('max.connections.per.ip.overrides: addresses of both families', () => {
  const { connectionsPerAddress } = parseBrokerConfig({
    'broker.id': 1,
    'max.connections.per.ip.overrides': '127.0.0.1:200, [::1]:3,::2:4',
  });
  expect([...connectionsPerAddress]).toEqual([
    ['127.0.0.1', 200],
    ['::1', 3],
    ['::2', 4],
  ]);
});
