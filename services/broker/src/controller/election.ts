import type { CoordinatorSession, WriteOperation, Zxid } from '@naru/coordinator-client';
import { isCoordinatorError } from '../cluster/coordinator-errors.ts';
import type { Member } from '../cluster/partition-state.ts';
import { decodeControllerEpoch, encodeController, encodeControllerEpoch } from '../cluster/znode-codecs.ts';
import { paths } from '../cluster/znode-paths.ts';

/** The right to write as controller; over as soon as somebody else raises the epoch. */
export interface Office {
  readonly epoch: number;
  /** Version of `/controller_epoch` after our own write: every write of ours checks it (row 23). */
  readonly epochVersion: number;
  /** czxid of our `/controller`. */
  readonly czxid: Zxid;
}

export type CampaignResult =
  | { readonly kind: 'elected'; readonly office: Office }
  /** Somebody holds the office, or raised the epoch while we read it. */
  | { readonly kind: 'lost' }
  /** This incarnation or its session is over. */
  | { readonly kind: 'not-registered' };

/**
 * Runs once for the office: one multi creates the ephemeral `/controller` and raises `/controller_epoch` from the version that was read, so that there is no moment in
 * which a controller holds the office and an old epoch. The candidate's registration is checked in the same multi: other brokers
 * find the controller by it.
 */
export async function campaign(session: CoordinatorSession, self: Member, nowMs: number): Promise<CampaignResult> {
  try {
    const current = await session.getData(paths.controllerEpoch);
    const epoch = current === undefined ? 1 : decodeControllerEpoch(current.path, current.data) + 1;
    const epochVersion = current === undefined ? 0 : current.stat.version + 1;
    const data = encodeControllerEpoch(epoch);
    const operations: readonly WriteOperation[] = [
      { kind: 'check', path: paths.broker(self.brokerId), czxid: self.brokerEpoch },
      current === undefined
        ? { kind: 'create', path: paths.controllerEpoch, data }
        : { kind: 'set-data', path: paths.controllerEpoch, data, version: current.stat.version },
      { kind: 'create', path: paths.controller, data: encodeController(self.brokerId, nowMs), ephemeral: true },
    ];
    const { zxid } = await session.write(operations);
    return { kind: 'elected', office: { epoch, epochVersion, czxid: zxid } };
  } catch (error) {
    return campaignFailure(session, error);
  }
}

async function campaignFailure(session: CoordinatorSession, error: unknown): Promise<CampaignResult> {
  if (!isCoordinatorError(error)) throw error;
  if (error.code === 'session-expired') return { kind: 'not-registered' };
  if (error.code === 'connection-loss') return { kind: 'lost' };
  if (error.failedIndex === 0) return { kind: 'not-registered' };
  if (error.code === 'node-exists' || error.code === 'bad-version' || error.code === 'no-node') {
    return (await ownOffice(session)) ?? { kind: 'lost' };
  }
  throw error;
}

/**
 * The office of an earlier attempt whose answer was lost. Nobody else can raise the epoch while our `/controller` exists, so that what is read between two
 * sights of it belongs to it.
 */
async function ownOffice(session: CoordinatorSession): Promise<CampaignResult | undefined> {
  try {
    const before = await session.exists(paths.controller);
    if (before?.ephemeralOwner !== session.id) return undefined;
    const epoch = await session.getData(paths.controllerEpoch);
    const after = await session.exists(paths.controller);
    if (epoch === undefined || after?.czxid !== before.czxid) return undefined;
    return {
      kind: 'elected',
      office: {
        epoch: decodeControllerEpoch(epoch.path, epoch.data),
        epochVersion: epoch.stat.version,
        czxid: before.czxid,
      },
    };
  } catch (error) {
    if (isCoordinatorError(error)) return undefined;
    throw error;
  }
}

/** Gives the office up, if it is still ours, so that another broker takes it at once. */
export async function resign(session: CoordinatorSession, office: Office): Promise<void> {
  try {
    await session.write([
      { kind: 'check', path: paths.controller, czxid: office.czxid },
      { kind: 'delete', path: paths.controller },
    ]);
  } catch (error) {
    if (!isCoordinatorError(error)) throw error;
  }
}
