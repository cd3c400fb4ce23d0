import { join } from 'node:path';

/** What runs where in a local cluster: names, directories and ports of its nodes. */
export interface ClusterLayout {
  readonly version: 1;
  readonly brokers: number;
  readonly coordinators: number;
  readonly portOffset: number;
}

export interface NodeLayout {
  /** `broker-2`, `coordinator-1`: also the name of its directory. */
  readonly name: string;
  readonly kind: 'broker' | 'coordinator';
  readonly id: number;
  readonly clientPort: number;
}

export const brokersMax = 99;
export const coordinatorsMax = 7;

const host = 'localhost';

/** The n-th node on one machine adds 10·(n−1) to the well-known ports. */
function port(base: number, id: number, layout: ClusterLayout): number {
  return base + 10 * (id - 1) + layout.portOffset;
}

export function nodesOf(layout: ClusterLayout): NodeLayout[] {
  const node = (kind: NodeLayout['kind'], base: number) => (_: unknown, i: number) => ({
    name: `${kind}-${i + 1}`,
    kind,
    id: i + 1,
    clientPort: port(base, i + 1, layout),
  });
  return [
    ...Array.from({ length: layout.coordinators }, node('coordinator', 2181)),
    ...Array.from({ length: layout.brokers }, node('broker', 9092)),
  ];
}

export function bootstrapServers(layout: ClusterLayout): string {
  return nodesOf(layout)
    .filter((node) => node.kind === 'broker')
    .map((node) => `${host}:${node.clientPort}`)
    .join(',');
}

export function coordinatorAddresses(layout: ClusterLayout): string[] {
  return nodesOf(layout)
    .filter((node) => node.kind === 'coordinator')
    .map((node) => `${host}:${node.clientPort}`);
}

export function propertiesFile(dataDirectory: string, node: NodeLayout): string {
  return join(dataDirectory, node.name, node.kind === 'broker' ? 'server.properties' : 'coordinator.properties');
}

/** The properties that make a node part of this cluster; they win over what a user wrote into the file. */
export function nodeProperties(dataDirectory: string, node: NodeLayout, layout: ClusterLayout): Record<string, string> {
  const directory = join(dataDirectory, node.name);
  if (node.kind === 'coordinator') {
    const members = Array.from({ length: layout.coordinators }, (_, i) => {
      return `${i + 1}@${host}:${port(2888, i + 1, layout)}:${port(2181, i + 1, layout)}`;
    });
    return {
      'node.id': String(node.id),
      'data.dir': directory,
      'listen.host': host,
      'client.port': String(node.clientPort),
      'peer.port': String(port(2888, node.id, layout)),
      members: members.join(','),
    };
  }
  return {
    'broker.id': String(node.id),
    'node.dir': directory,
    'log.dirs': join(directory, 'data'),
    listeners: `PLAINTEXT://${host}:${node.clientPort},INTERNAL://${host}:${port(9093, node.id, layout)}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT',
    'inter.broker.listener.name': 'INTERNAL',
    'metrics.port': String(port(9404, node.id, layout)),
    'coordinator.connect': coordinatorAddresses(layout).join(','),
    'default.replication.factor': String(Math.min(3, layout.brokers)),
    'min.insync.replicas': String(Math.min(2, layout.brokers)),
    // On one machine nobody starts a hundred consumers at once: the first one need not wait for the others.
    'group.initial.rebalance.delay.ms': '0',
  };
}
