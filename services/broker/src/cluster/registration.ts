import type { CoordinatorSession, WriteOperation, Znode, Zxid } from '@naru/coordinator-client';
import { type Random, randomUuid } from '@naru/runtime';
import { isCoordinatorError } from './coordinator-errors.ts';
import { formatEndpointUri } from './endpoint.ts';
import type { Member } from './partition-state.ts';
import {
  type BrokerRegistration,
  decodeBroker,
  decodeClusterId,
  decodeDirectory,
  encodeBroker,
  encodeClusterId,
  encodeDirectory,
} from './znode-codecs.ts';
import { paths, rootPaths } from './znode-paths.ts';

/** Rounds of read and compare-and-set before a registration gives up; each lost round means that somebody else wrote. */
const attemptsMax = 10;

/** Why a broker may not join. `broker-id-taken` is for the operator to solve. */
export class RegistrationError extends Error {
  override readonly name = 'RegistrationError';
  readonly code: 'broker-id-taken' | 'contended';

  constructor(code: 'broker-id-taken' | 'contended', message: string) {
    super(message);
    this.code = code;
  }
}

/** What a broker registers with. */
export interface BrokerIdentity extends Omit<BrokerRegistration, 'stopping'> {
  readonly brokerId: number;
}

/**
 * Creates the persistent znodes that everything hangs on, all in one write: a fresh cluster waits for one commit. Any number of brokers may do it at once; a tree of
 * which a part is there is completed.
 */
export async function ensureTree(session: CoordinatorSession): Promise<void> {
  const last = rootPaths.at(-1) as string;
  if ((await session.exists(last)) !== undefined) return;
  try {
    await session.write(rootPaths.map((path) => ({ kind: 'create', path, data: new Uint8Array() })));
  } catch (error) {
    if (!isCoordinatorError(error, 'node-exists', 'connection-loss')) throw error;
    if ((await session.exists(last)) !== undefined) return;
    for (const path of rootPaths) await createIfMissing(session, path, new Uint8Array());
  }
}

/** The cluster's id; the first broker to ask invents it. */
export async function ensureClusterId(session: CoordinatorSession, random: Random): Promise<string> {
  const existing = await session.getData(paths.clusterId);
  if (existing !== undefined) return decodeClusterId(existing.path, existing.data);
  await createIfMissing(session, paths.clusterId, encodeClusterId(randomUuid(random)));
  // Read in any case: of several brokers that start a cluster together, one has won.
  const created = await session.getData(paths.clusterId);
  if (created === undefined)
    throw new RegistrationError('contended', `${paths.clusterId} was removed while it was read`);
  return decodeClusterId(created.path, created.data);
}

async function createIfMissing(session: CoordinatorSession, path: string, data: Uint8Array): Promise<void> {
  for (;;) {
    try {
      await session.write([{ kind: 'create', path, data }]);
      return;
    } catch (error) {
      if (isCoordinatorError(error, 'node-exists')) return;
      if (!isCoordinatorError(error, 'connection-loss')) throw error;
    }
  }
}

/**
 * Registers this incarnation and returns its broker epoch, the czxid of the registration. Fails with `RegistrationError` or `CoordinatorError`.
 *
 * A registration that is there already belongs to somebody (row 26):
 * - to this session: an earlier attempt whose answer was lost; it stands;
 * - to the same data directory: a former incarnation of this broker, dead for certain because the directory is locked by us. It is replaced at
 *   once, by czxid, together with the controller's office if it held it, so that nobody waits for its session to expire;
 * - to another directory: two brokers have the same id; this one must not start.
 *
 * `/brokers/directories/N` is written in the same multi when the directory is another one than before, so its mzxid is the first epoch
 * of this directory: older memberships were fulfilled on a disk that is gone (R7).
 */
export async function registerBroker(session: CoordinatorSession, identity: BrokerIdentity): Promise<Zxid> {
  const { brokerId } = identity;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const existing = await session.getData(paths.broker(brokerId));
    if (existing?.stat.ephemeralOwner === session.id) return existing.stat.czxid;
    const operations: WriteOperation[] = [];
    if (existing !== undefined) operations.push(...(await replaceFormer(session, identity, existing)));
    operations.push({
      kind: 'create',
      path: paths.broker(brokerId),
      data: encodeBroker({ ...identity, stopping: false }),
      ephemeral: true,
    });
    operations.push(...(await directoryWrites(session, identity)));
    try {
      return (await session.write(operations)).zxid;
    } catch (error) {
      // A failed check means that what was read has changed; a lost connection that it may have: both are read again.
      if (!isCoordinatorError(error, 'bad-version', 'node-exists', 'no-node', 'connection-loss')) throw error;
    }
  }
  throw new RegistrationError(
    'contended',
    `the registration of broker ${brokerId} changed ${attemptsMax} times while it was being written`,
  );
}

async function replaceFormer(
  session: CoordinatorSession,
  identity: BrokerIdentity,
  existing: Znode,
): Promise<readonly WriteOperation[]> {
  const former = decodeBroker(existing.path, existing.data);
  if (former.directoryId !== identity.directoryId) {
    throw new RegistrationError(
      'broker-id-taken',
      `broker id ${identity.brokerId} is in use by a broker at ${former.endpoints.map(formatEndpointUri).join(',')} with another data directory; ` +
        'give this broker another broker.id, or stop that one first',
    );
  }
  const operations: WriteOperation[] = [
    { kind: 'check', path: existing.path, czxid: existing.stat.czxid },
    { kind: 'delete', path: existing.path },
  ];
  const controller = await session.getData(paths.controller);
  if (controller !== undefined && controller.stat.ephemeralOwner === existing.stat.ephemeralOwner) {
    operations.push({ kind: 'check', path: controller.path, czxid: controller.stat.czxid });
    operations.push({ kind: 'delete', path: controller.path });
  }
  return operations;
}

async function directoryWrites(
  session: CoordinatorSession,
  identity: BrokerIdentity,
): Promise<readonly WriteOperation[]> {
  const path = paths.brokerDirectory(identity.brokerId);
  const data = encodeDirectory(identity.directoryId);
  const existing = await session.getData(path);
  if (existing === undefined) return [{ kind: 'create', path, data }];
  if (readDirectory(existing) === identity.directoryId) {
    return [{ kind: 'check', path, version: existing.stat.version }];
  }
  return [{ kind: 'set-data', path, data, version: existing.stat.version }];
}

/** Unreadable counts as another directory: then the memberships of before are not trusted. */
function readDirectory(node: Znode): string | undefined {
  try {
    return decodeDirectory(node.path, node.data);
  } catch {
    return undefined;
  }
}

/**
 * Changes what this incarnation says about itself (a replica that was found damaged). Somebody else may write there, too (the controller, that it is
 * stopping), so the change is made to what is there. False when the incarnation is over.
 */
export async function updateRegistration(
  session: CoordinatorSession,
  self: Member,
  change: (registration: BrokerRegistration) => BrokerRegistration,
): Promise<boolean> {
  const path = paths.broker(self.brokerId);
  for (;;) {
    const node = await session.getData(path);
    if (node?.stat.czxid !== self.brokerEpoch) return false;
    const data = encodeBroker(change(decodeBroker(path, node.data)));
    if (Buffer.compare(data, node.data) === 0) return true;
    try {
      await session.write([
        { kind: 'check', path, czxid: self.brokerEpoch },
        { kind: 'set-data', path, data, version: node.stat.version },
      ]);
      return true;
    } catch (error) {
      if (!isCoordinatorError(error, 'bad-version', 'no-node', 'connection-loss')) throw error;
    }
  }
}
