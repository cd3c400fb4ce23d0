import { type Logger, silentLogger } from '@naru/observability';
import { createRpc, type RpcServer, type coordinator as wire } from '@naru/rpc';
import { type Address, type DiskLock, formatAddress, type Runtime } from '@naru/runtime';
import { type CoordinatorConfig, initialMembers } from './coordinator-config.ts';
import { coordinatorService, statusOf } from './listeners/coordinator-service.ts';
import { ReadBarrier } from './listeners/read-barrier.ts';
import { SessionDirector } from './listeners/session-director.ts';
import type { SessionServices } from './listeners/session-stream.ts';
import { Quorum } from './quorum/quorum.ts';
import type { QuorumStanding, QuorumStatus, ReplicatedLog } from './quorum/state-machine.ts';
import type { Tree } from './tree/tree.ts';
import { TreeMachine } from './tree/tree-machine.ts';

export const version = '0.1.0';

/** The largest multi (`bytesPerWriteMax`) with room for its encoding; refused before it is decoded. */
const requestBytesMax = 16_777_216;

/** A running node. */
export interface Coordinator {
  /** With the port that was really taken. */
  readonly clientAddress: Address;
  status(): wire.StatusResponse;
  /** For tests that look after every event. */
  standing(): QuorumStanding;
  /** SHA-256 over the whole state; equal on all nodes at the same `appliedZxid` (Z7). Costs as much as a snapshot. */
  stateHash(): string;
  /** CRC-32 chained over all commands (Z4). */
  commandChain(): number;
  /** For tests and tools: what this node has applied. Only to be looked at, and not to be kept. */
  tree(): Tree;
  /** Called once when the node cannot go on (a failed sync, a broken invariant): the process must end. */
  onFailure(callback: (error: Error) => void): void;
  /** Ends the sessions' streams (not the sessions), the quorum's part in the log, and the lock of the directory. */
  close(): Promise<void>;
}

/**
 * One coordinator, from the disk up to the client port. The same for the real world and the simulation. Fails with a one-line
 * error when the directory is somebody else's, damaged or in use, or a port is taken.
 */
export async function createCoordinator(
  runtime: Runtime,
  config: CoordinatorConfig,
  { logger = silentLogger }: { readonly logger?: Logger } = {},
): Promise<Coordinator> {
  const lock = await lockDataDirectory(runtime, config['data.dir']);
  const opened: { close(): Promise<void> }[] = [{ close: () => lock.release() }];
  const close = async (): Promise<void> => {
    for (const part of opened.splice(0).reverse()) await part.close();
  };
  try {
    const machine = new TreeMachine({
      entriesMax: config['watch.history.entries'],
      bytesMax: config['watch.history.bytes'],
    });
    const quorum = await openQuorum(runtime, config, machine, logger);
    opened.push(quorum);
    const services = sessionServices(runtime, config, quorum, machine, logger);
    const server = await serveClients(runtime, config, services);
    opened.push(server);
    // Streams that end because this node ends are no reason to shorten a session's time.
    opened.push({ close: async () => services.director.stop('the coordinator is closing') });
    // First of all, while clients are still served: they are told of the successor and lose no time looking for one.
    opened.push({ close: () => quorum.handOver() });
    logger.info({ client: formatAddress(server.address), node: config['node.id'] }, 'coordinator serves');
    return {
      clientAddress: server.address,
      status: () => statusOf(services, version),
      standing: () => quorum.standing(),
      stateHash: () => machine.stateHash(),
      commandChain: () => machine.commandChain,
      tree: () => machine.tree,
      onFailure: (callback) => quorum.onFailure(callback),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A second process with the same directory would vote and write behind this one's back. */
async function lockDataDirectory(runtime: Runtime, directory: string): Promise<DiskLock> {
  await runtime.disk.makeDirectory(directory);
  return runtime.disk.lock(directory);
}

function openQuorum(
  runtime: Runtime,
  config: CoordinatorConfig,
  machine: TreeMachine,
  logger: Logger,
): Promise<ReplicatedLog> {
  return Quorum.open(
    runtime,
    {
      nodeId: config['node.id'],
      clusterId: config['cluster.id'],
      dataDirectory: config['data.dir'],
      members: initialMembers(config),
      listenAddress: { host: config['listen.host'], port: config['peer.port'] },
      electionTimeoutMs: config['election.timeout.ms'],
      heartbeatMs: config['heartbeat.interval.ms'],
      snapshots: { thresholdEntries: config['snapshot.threshold.entries'] },
    },
    machine,
    logger,
  );
}

/** Sessions are served and timed exactly while this node leads and has applied everything of the leaders before it. */
function sessionServices(
  runtime: Runtime,
  config: CoordinatorConfig,
  log: ReplicatedLog,
  machine: TreeMachine,
  logger: Logger,
): SessionServices {
  const times = {
    timeoutMsMin: config['session.timeout.min.ms'],
    timeoutMsMax: config['session.timeout.max.ms'],
    disconnectGraceMs: config['session.disconnect.grace.ms'],
  };
  const director = new SessionDirector(runtime, log, machine, times, logger);
  let servingTerm = 0;
  const follow = (status: QuorumStatus): void => {
    const term = status.serving ? status.term : 0;
    if (term === servingTerm) return;
    servingTerm = term;
    if (term === 0) director.stop('this node does not lead any more');
    else director.start(term);
  };
  log.onRoleChange(follow);
  follow(log.status());
  return { log, machine, director, barrier: new ReadBarrier(log), random: runtime.random };
}

function serveClients(runtime: Runtime, config: CoordinatorConfig, services: SessionServices): Promise<RpcServer> {
  const address = { host: config['listen.host'], port: config['client.port'] };
  return createRpc(runtime).serve(address, coordinatorService(services, version), { messageBytesMax: requestBytesMax });
}
