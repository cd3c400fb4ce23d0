import { Client } from '@naru/client';
import { coordinatorStatus } from '@naru/coordinator-client';
import { createNodeRuntime } from '@naru/runtime/node';
import { notRunning } from '../commands/cluster.ts';
import { describeTopics } from '../connection.ts';
import { askControl } from './control.ts';
import { bootstrapServers, coordinatorAddresses } from './layout.ts';
import type { NodeStatus } from './node-process.ts';

/** Milliseconds that a node may take to answer before it is shown as silent. */
const answerTimeoutMs = 2_000;

/** Prints the processes, the coordinators' roles, the brokers, the controller and what is under-replicated. Status 1: something is wrong. */
export async function printStatus(dataDirectory: string): Promise<number> {
  const response = await askControl(dataDirectory, { command: 'status' });
  if (!response?.ok) throw notRunning(dataDirectory);
  const { layout, nodes } = response;
  const coordinators = await coordinatorLines(coordinatorAddresses(layout), nodes);
  const brokers = await brokerReport(bootstrapServers(layout), nodes);
  process.stdout.write(`${[...coordinators.lines, ...brokers.lines].join('\n')}\n`);
  return coordinators.healthy && brokers.healthy ? 0 : 1;
}

interface Report {
  readonly lines: readonly string[];
  readonly healthy: boolean;
}

function processText(nodes: readonly NodeStatus[], name: string): string {
  const node = nodes.find((status) => status.name === name);
  if (node === undefined) return 'unknown';
  return node.state === 'down' ? `down (${node.reason})` : `${node.state} (pid ${node.pid})`;
}

async function coordinatorLines(addresses: readonly string[], nodes: readonly NodeStatus[]): Promise<Report> {
  const runtime = createNodeRuntime();
  let leaders = 0;
  const lines = await Promise.all(
    addresses.map(async (address, i) => {
      const name = `coordinator-${i + 1}`;
      const left = `${name.padEnd(15)}${address.padEnd(18)}${processText(nodes, name)}`;
      try {
        const status = await coordinatorStatus(runtime, address, { timeoutMs: answerTimeoutMs });
        if (status.role === 'leader') leaders++;
        return `${left}  ${status.role}, term ${status.term}, zxid ${status.appliedZxid}${status.role === 'leader' ? `, ${status.sessions} sessions` : ''}`;
      } catch {
        return `${left}  no answer`;
      }
    }),
  );
  return { lines, healthy: leaders === 1 && lines.every((line) => !line.endsWith('no answer')) };
}

async function brokerReport(servers: string, nodes: readonly NodeStatus[]): Promise<Report> {
  const client = new Client({ 'bootstrap.servers': servers, clientId: 'naru-cli' });
  const names = servers.split(',').map((address, i) => [`broker-${i + 1}`, address] as const);
  const line = ([name, address]: readonly [string, string], rest: string) =>
    `${name.padEnd(15)}${address.padEnd(18)}${processText(nodes, name)}${rest}`;
  try {
    const admin = client.admin({ 'default.api.timeout.ms': answerTimeoutMs });
    const cluster = await admin.describeCluster();
    const topics = await admin.listTopics({ includeInternal: true });
    const described = await describeTopics(
      admin,
      topics.map((topic) => topic.name),
    );
    const partitions = described.flatMap((topic) =>
      topic.partitions.map((partition) => ({ topic: topic.name, ...partition })),
    );
    const underReplicated = partitions.filter((partition) => partition.isr.length < partition.replicas.length);
    const offline = partitions.filter((partition) => partition.leader === undefined);
    const lines = names.map(([name, address], i) => {
      const id = i + 1;
      const registered = cluster.brokers.some((broker) => broker.id === id);
      const leads = partitions.filter((partition) => partition.leader === id).length;
      const role = cluster.controller === id ? ', controller' : '';
      return line([name, address], registered ? `  registered, leads ${leads} partitions${role}` : '  not registered');
    });
    const shown = underReplicated
      .slice(0, 10)
      .map((p) => `${p.topic}-${p.partition} (isr ${p.isr.join(',')} of ${p.replicas.join(',')})`);
    const more = underReplicated.length > shown.length ? `, … ${underReplicated.length - shown.length} more` : '';
    return {
      lines: [
        ...lines,
        `cluster ${cluster.clusterId}: controller ${cluster.controller ?? 'none'}, ${topics.length} topics, ${partitions.length} partitions`,
        `under-replicated partitions: ${underReplicated.length}${shown.length > 0 ? ` — ${shown.join(', ')}${more}` : ''}`,
        `offline partitions: ${offline.length}`,
      ],
      healthy:
        underReplicated.length === 0 && cluster.controller !== undefined && cluster.brokers.length === names.length,
    };
  } catch (error) {
    return {
      lines: [...names.map((name) => line(name, '  no answer')), `no broker answers: ${(error as Error).message}`],
      healthy: false,
    };
  } finally {
    await client.close();
  }
}
