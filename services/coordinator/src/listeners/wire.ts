import { coordinator as wire } from '@naru/rpc';
import type { Change, Failure, FailureCode, Outcome, Stat, StepResult, WriteStep, Zxid } from '../tree/command.ts';
import type { ZnodeView } from '../tree/tree.ts';

/** The client protocol's messages from and to the tree's own words. Everything that names a field of the wire is here. */

export type WriteRequest = { readonly kind: 'write'; readonly steps: readonly WriteStep[]; readonly multi: boolean };
export type ReadRequest = { readonly kind: 'get-data' | 'exists' | 'get-children'; readonly path: string };

/** Undefined: an operation that this version does not know. */
export function requestOf(operation: wire.Operation['operation']): WriteRequest | ReadRequest | undefined {
  switch (operation?.$case) {
    case 'create':
    case 'delete':
    case 'setData': {
      const step = stepOf(operation);
      return step && { kind: 'write', steps: [step], multi: false };
    }
    case 'multi': {
      const steps = operation.value.operations.map(({ operation: each }) => stepOf(each));
      return steps.every((step) => step !== undefined) ? { kind: 'write', steps, multi: true } : undefined;
    }
    case 'getData':
      return { kind: 'get-data', path: operation.value.path };
    case 'exists':
      return { kind: 'exists', path: operation.value.path };
    case 'getChildren':
      return { kind: 'get-children', path: operation.value.path };
    case undefined:
      return undefined;
  }
}

function stepOf(operation: wire.MultiOperation['operation']): WriteStep | undefined {
  switch (operation?.$case) {
    case 'create': {
      const { path, data, ephemeral, sequential } = operation.value;
      return { kind: 'create', path, data, ephemeral, sequential };
    }
    case 'delete':
      return { kind: 'delete', path: operation.value.path, version: operation.value.version };
    case 'setData':
      return {
        kind: 'set-data',
        path: operation.value.path,
        data: operation.value.data,
        version: operation.value.version,
      };
    case 'check':
      return {
        kind: 'check',
        path: operation.value.path,
        version: operation.value.version,
        czxid: operation.value.czxid,
      };
    case undefined:
      return undefined;
  }
}

export type Response = wire.SessionResponse;

export function connected(sessionId: string, password: Uint8Array, timeoutMs: number, zxid: Zxid): Response {
  return { message: { $case: 'connected', value: { sessionId, password, timeoutMs, zxid } } };
}

export type RefusalReason = 'not-leader' | 'behind' | 'session-expired' | 'too-many-sessions';

export function refused(reason: RefusalReason, leaderAddress = ''): Response {
  return { message: { $case: 'refused', value: { reason: refusalReasons[reason], leaderAddress } } };
}

export function pong(zxid: Zxid): Response {
  return { message: { $case: 'pong', value: { zxid } } };
}

export function sessionClosed(expired: boolean): Response {
  return { message: { $case: 'closed', value: { expired } } };
}

export function writeResult(xid: number, zxid: Zxid, outcome: Outcome, multi: boolean): Response {
  if (!outcome.ok) return failureResult(xid, zxid, outcome);
  const results = outcome.kind === 'write' ? outcome.results : [];
  if (multi) return result({ xid, zxid, multi: results.map(multiResult) });
  const only = results[0];
  return result({ xid, zxid, path: only?.path ?? '', stat: only?.stat });
}

export function failureResult(xid: number, zxid: Zxid, failure: Failure): Response {
  const { code, message, failedIndex } = failure;
  return result({ xid, zxid, error: errorCodes[code], errorMessage: message, failedIndex });
}

export function nodeResult(xid: number, zxid: Zxid, node: ZnodeView, withData: boolean): Response {
  return result({ xid, zxid, path: node.path, stat: node.stat, data: withData ? node.data : noBytes });
}

export function childrenResult(xid: number, zxid: Zxid, children: readonly string[], stat: Stat | undefined): Response {
  return result({ xid, zxid, children: [...children], stat });
}

export function watchSnapshot(watchId: number, zxid: Zxid, nodes: readonly ZnodeView[], done: boolean): Response {
  return { message: { $case: 'watchSnapshot', value: { watchId, zxid, nodes: [...nodes], done } } };
}

export function watchChanges(watchId: number, zxid: Zxid, changes: readonly Change[]): Response {
  return { message: { $case: 'watchChanges', value: { watchId, zxid, changes: changes.map(changeMessage) } } };
}

export function watchFailed(watchId: number, code: FailureCode, errorMessage: string): Response {
  return { message: { $case: 'watchFailed', value: { watchId, error: errorCodes[code], errorMessage } } };
}

function result(fields: Partial<wire.Result>): Response {
  return { message: { $case: 'result', value: { ...emptyResult, ...fields } } };
}

function multiResult({ path, stat }: StepResult): wire.MultiResult {
  return { path, stat };
}

function changeMessage(change: Change): wire.ZnodeChange {
  return change.kind === 'deleted'
    ? { kind: wire.ZnodeChange_Kind.KIND_DELETED, node: { path: change.path, data: noBytes, stat: undefined } }
    : { kind: changeKinds[change.kind], node: { path: change.path, data: change.data, stat: change.stat } };
}

const noBytes = new Uint8Array(0);

const emptyResult: wire.Result = {
  xid: 0,
  zxid: 0,
  error: wire.ErrorCode.ERROR_CODE_UNSPECIFIED,
  errorMessage: '',
  failedIndex: -1,
  path: '',
  stat: undefined,
  data: noBytes,
  children: [],
  multi: [],
};

const changeKinds = {
  created: wire.ZnodeChange_Kind.KIND_CREATED,
  changed: wire.ZnodeChange_Kind.KIND_CHANGED,
} as const;

const refusalReasons = {
  'not-leader': wire.Refused_Reason.REASON_NOT_LEADER,
  behind: wire.Refused_Reason.REASON_BEHIND,
  'session-expired': wire.Refused_Reason.REASON_SESSION_EXPIRED,
  'too-many-sessions': wire.Refused_Reason.REASON_TOO_MANY_SESSIONS,
} as const satisfies Record<RefusalReason, wire.Refused_Reason>;

const errorCodes = {
  'no-node': wire.ErrorCode.ERROR_CODE_NO_NODE,
  'node-exists': wire.ErrorCode.ERROR_CODE_NODE_EXISTS,
  'bad-version': wire.ErrorCode.ERROR_CODE_BAD_VERSION,
  'not-empty': wire.ErrorCode.ERROR_CODE_NOT_EMPTY,
  'no-children-for-ephemerals': wire.ErrorCode.ERROR_CODE_NO_CHILDREN_FOR_EPHEMERALS,
  'invalid-path': wire.ErrorCode.ERROR_CODE_INVALID_PATH,
  'limit-exceeded': wire.ErrorCode.ERROR_CODE_LIMIT_EXCEEDED,
  'session-expired': wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED,
} as const satisfies Record<FailureCode, wire.ErrorCode>;
