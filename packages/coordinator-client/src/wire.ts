import { coordinator as wire } from '@naru/rpc';
import {
  CoordinatorError,
  type CoordinatorErrorCode,
  type Stat,
  type WatchChange,
  type WriteOperation,
  type WriteResult,
  type Znode,
} from './session.ts';

/** The protocol's messages from and to the words of `session.ts`. */

export function multiOf(operations: readonly WriteOperation[]): NonNullable<wire.Operation['operation']> {
  return {
    $case: 'multi',
    value: { operations: operations.map((operation) => ({ operation: multiOperationOf(operation) })) },
  };
}

function multiOperationOf(operation: WriteOperation): NonNullable<wire.MultiOperation['operation']> {
  switch (operation.kind) {
    case 'create': {
      const { path, data, ephemeral = false, sequential = false } = operation;
      return { $case: 'create', value: { path, data, ephemeral, sequential } };
    }
    case 'delete':
      return { $case: 'delete', value: { path: operation.path, version: operation.version ?? -1 } };
    case 'set-data': {
      const { path, data, version = -1 } = operation;
      return { $case: 'setData', value: { path, data, version } };
    }
    case 'check': {
      const { path, version = -1, czxid = 0 } = operation;
      return { $case: 'check', value: { path, version, czxid } };
    }
  }
}

export function operationBytes(operations: readonly WriteOperation[]): number {
  return operations.reduce((sum, each) => sum + 64 + each.path.length + ('data' in each ? each.data.length : 0), 0);
}

export function request(message: NonNullable<wire.SessionRequest['message']>): wire.SessionRequest {
  return { message };
}

export function writeResultOf(result: wire.Result): WriteResult {
  return { zxid: result.zxid, results: result.multi.map(({ path, stat }) => ({ path, stat })) };
}

/** Undefined: no error. */
export function errorOf(
  result: Pick<wire.Result, 'error' | 'errorMessage' | 'failedIndex'>,
): CoordinatorError | undefined {
  if (result.error === wire.ErrorCode.ERROR_CODE_UNSPECIFIED) return undefined;
  const code = errorCodes.get(result.error) ?? 'connection-loss';
  return new CoordinatorError(code, result.errorMessage, result.failedIndex);
}

/**
 * The data is copied: a watcher keeps it for as long as the znode lives, and the bytes that came are a view into the network's
 * far larger buffer.
 */
export function znodeOf(node: {
  readonly path: string;
  readonly data: Uint8Array;
  readonly stat: wire.Stat | undefined;
}): Znode {
  return { path: node.path, data: new Uint8Array(node.data), stat: node.stat ?? noStat };
}

export function changeOf({ kind, node }: wire.ZnodeChange): WatchChange {
  const { path, data, stat } = node ?? { path: '', data: new Uint8Array(0), stat: undefined };
  switch (kind) {
    case wire.ZnodeChange_Kind.KIND_CREATED:
      return { kind: 'created', node: znodeOf({ path, data, stat }) };
    case wire.ZnodeChange_Kind.KIND_DELETED:
      return { kind: 'deleted', path };
    default:
      return { kind: 'changed', node: znodeOf({ path, data, stat }) };
  }
}

const noStat: Stat = {
  czxid: 0,
  mzxid: 0,
  pzxid: 0,
  version: 0,
  cversion: 0,
  ephemeralOwner: '',
  numChildren: 0,
  dataLength: 0,
  ctimeMs: 0,
  mtimeMs: 0,
};

const errorCodes: ReadonlyMap<wire.ErrorCode, CoordinatorErrorCode> = new Map([
  [wire.ErrorCode.ERROR_CODE_NO_NODE, 'no-node'],
  [wire.ErrorCode.ERROR_CODE_NODE_EXISTS, 'node-exists'],
  [wire.ErrorCode.ERROR_CODE_BAD_VERSION, 'bad-version'],
  [wire.ErrorCode.ERROR_CODE_NOT_EMPTY, 'not-empty'],
  [wire.ErrorCode.ERROR_CODE_NO_CHILDREN_FOR_EPHEMERALS, 'no-children-for-ephemerals'],
  [wire.ErrorCode.ERROR_CODE_INVALID_PATH, 'invalid-path'],
  [wire.ErrorCode.ERROR_CODE_LIMIT_EXCEEDED, 'limit-exceeded'],
  [wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED, 'session-expired'],
]);
