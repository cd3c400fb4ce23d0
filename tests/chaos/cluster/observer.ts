/**
 * The harness's eye, as a process of its own because it must stand in the nodes' network. It watches the coordinators' tree, tells every change of
 * leaders, ISRs and controller as it comes, creates the topic and asks the coordinators for their roles.
 */
import { Client, type NewTopic, orThrow } from '@naru/client';
import {
  type CoordinatorSession,
  changeMembership,
  coordinatorStatus,
  type MembershipChangeKind,
  openSession,
  type QuorumMember,
  type WatchChange,
  type Znode,
} from '@naru/coordinator-client';
import { createNodeRuntime } from '@naru/runtime/node';
import { monotonicMs } from './monotonic.ts';

export interface PartitionChange {
  readonly kind: 'partition';
  readonly atMs: number;
  readonly topic: string;
  readonly partition: number;
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly isr: readonly number[];
  readonly elr: readonly number[];
}

/** Ids of the brokers that are registered, and of the one that is controller (-1: none). */
export type ClusterChange =
  | PartitionChange
  | { readonly kind: 'controller'; readonly atMs: number; readonly broker: number }
  | { readonly kind: 'broker'; readonly atMs: number; readonly broker: number; readonly isRegistered: boolean };

export type ObserverRequest =
  | { readonly id: number; readonly command: 'watch'; readonly coordinators: readonly string[] }
  | { readonly id: number; readonly command: 'create-topic'; readonly servers: string; readonly topic: NewTopic }
  /** Answered when the watch has caught up with a read. */
  | { readonly id: number; readonly command: 'refresh' }
  /** Begins to move a partition's replicas. */
  | {
      readonly id: number;
      readonly command: 'reassign';
      readonly servers: string;
      readonly topic: string;
      readonly partition: number;
      readonly replicas: readonly number[];
    }
  /** One change of the coordinators' members, asked of the one that leads. */
  | {
      readonly id: number;
      readonly command: 'change-members';
      readonly leader: string;
      readonly change: MembershipChangeKind;
      readonly member: QuorumMember;
    }
  /** Answers with the number of the coordinator that leads, 0 when none does. */
  | { readonly id: number; readonly command: 'coordinator-leader'; readonly coordinators: readonly string[] };

export type ObserverMessage =
  | { readonly id: number; readonly ok: true; readonly value: number }
  | { readonly id: number; readonly ok: false; readonly message: string }
  | { readonly changes: readonly ClusterChange[] };

const runtime = createNodeRuntime();
let current: CoordinatorSession | undefined;

function tell(changes: readonly ClusterChange[]): void {
  if (changes.length > 0) process.send?.({ changes } satisfies ObserverMessage);
}

function changeOf(path: string, data: Uint8Array | undefined): ClusterChange | undefined {
  const atMs = monotonicMs();
  const broker = /^\/brokers\/ids\/(\d+)$/.exec(path);
  if (broker !== null) return { kind: 'broker', atMs, broker: Number(broker[1]), isRegistered: data !== undefined };
  const json = data === undefined || data.length === 0 ? undefined : JSON.parse(Buffer.from(data).toString());
  if (path === '/controller') return { kind: 'controller', atMs, broker: json?.brokerid ?? -1 };
  const partition = /^\/brokers\/topics\/([^/]+)\/partitions\/(\d+)\/state$/.exec(path);
  if (partition === null || json === undefined) return undefined;
  return {
    kind: 'partition',
    atMs,
    topic: partition[1] as string,
    partition: Number(partition[2]),
    leader: json.leader,
    leaderEpoch: json.leader_epoch,
    isr: json.isr,
    elr: json.elr,
  };
}

function isChange(change: ClusterChange | undefined): change is ClusterChange {
  return change !== undefined;
}

async function watch(coordinators: readonly string[]): Promise<void> {
  const session = await openSession(runtime, { servers: coordinators, timeoutMs: 30_000 });
  current = session;
  for (const path of ['/brokers', '/controller']) {
    session.watch(
      path,
      { recursive: true },
      {
        onSnapshot: (nodes: readonly Znode[]) =>
          tell(nodes.map((node) => changeOf(node.path, node.data)).filter(isChange)),
        onChanges: (changes: readonly WatchChange[]) =>
          tell(
            changes
              .map((change) =>
                change.kind === 'deleted'
                  ? changeOf(change.path, undefined)
                  : changeOf(change.node.path, change.node.data),
              )
              .filter(isChange),
          ),
      },
    );
  }
  session.onState((state) => {
    if (state === 'expired') void watch(coordinators);
  });
}

async function createTopic(servers: string, topic: NewTopic): Promise<void> {
  await using client = new Client({ 'bootstrap.servers': servers });
  orThrow(await client.admin({ 'default.api.timeout.ms': 20_000 }).createTopics([topic]));
}

async function reassign(request: ObserverRequest & { command: 'reassign' }): Promise<void> {
  const { servers, topic, partition, replicas } = request;
  await using client = new Client({ 'bootstrap.servers': servers });
  const admin = client.admin({ 'default.api.timeout.ms': 20_000 });
  orThrow(await admin.alterPartitionReassignments([{ topic, partition, replicas }]));
}

async function coordinatorLeader(coordinators: readonly string[]): Promise<number> {
  const statuses = await Promise.all(
    coordinators.map((address) => coordinatorStatus(runtime, address, { timeoutMs: 1_500 }).catch(() => undefined)),
  );
  // An old leader that is cut off may still call itself one: the highest term is right.
  const leaders = statuses
    .map((status, i) => ({ status, number: i + 1 }))
    .filter(({ status }) => status?.role === 'leader')
    .sort((a, b) => Number(b.status?.term) - Number(a.status?.term));
  return leaders[0]?.number ?? 0;
}

async function answer(request: ObserverRequest): Promise<number> {
  switch (request.command) {
    case 'watch':
      await watch(request.coordinators);
      return 0;
    case 'create-topic':
      await createTopic(request.servers, request.topic);
      return 0;
    case 'refresh':
      // Waits while the session is suspended; the watch resumes on the same stream before.
      await current?.getData('/controller');
      return 0;
    case 'reassign':
      await reassign(request);
      return 0;
    case 'change-members':
      return (await changeMembership(runtime, request.leader, request.change, request.member)).length;
    case 'coordinator-leader':
      return coordinatorLeader(request.coordinators);
  }
}

process.on('message', (request: ObserverRequest) => {
  answer(request).then(
    (value) => process.send?.({ id: request.id, ok: true, value } satisfies ObserverMessage),
    (error: Error) => process.send?.({ id: request.id, ok: false, message: error.message } satisfies ObserverMessage),
  );
});
process.on('disconnect', () => process.exit(0));
