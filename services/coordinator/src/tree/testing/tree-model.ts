import type { Command, WriteStep } from '../command.ts';

/**
 * The naive model that the property tests compare the tree with: an immutable list of znodes, copied for every command, with
 * no index, no journal and no shortcut. It covers what the rules say, and nothing of how the tree does it.
 */
export interface ModelNode {
  readonly path: string;
  readonly data: string;
  readonly version: number;
  readonly cversion: number;
  readonly czxid: number;
  readonly mzxid: number;
  readonly pzxid: number;
  readonly owner: string;
  readonly nextSequence: number;
}

export interface Model {
  readonly zxid: number;
  readonly nodes: readonly ModelNode[];
  readonly sessions: readonly { readonly id: string; readonly touches: number; readonly password: string }[];
}

export const emptyModel: Model = {
  zxid: 0,
  nodes: [{ path: '/', data: '', version: 0, cversion: 0, czxid: 0, mzxid: 0, pzxid: 0, owner: '', nextSequence: 0 }],
  sessions: [],
};

type Result = { readonly model: Model; readonly code: string };

export function modelApply(before: Model, zxid: number, term: number, command: Command): Result {
  const model = { ...before, zxid };
  const refuse = (code: string): Result => ({ model, code });
  if (command.kind === 'create-session') {
    const id = zxid.toString(16).padStart(16, '0');
    const session = { id, touches: 0, password: text(command.password) };
    return { model: { ...model, sessions: [...model.sessions, session] }, code: 'ok' };
  }
  const session = model.sessions.find((each) => each.id === command.session);
  if (session === undefined) return refuse('session-expired');
  switch (command.kind) {
    case 'attach-session': {
      if (session.password !== text(command.password)) return refuse('session-expired');
      const touched = { ...session, touches: session.touches + 1 };
      return {
        model: { ...model, sessions: model.sessions.map((s) => (s.id === session.id ? touched : s)) },
        code: 'ok',
      };
    }
    case 'expire-session':
      if (command.term !== term || command.touches !== session.touches) return refuse('ignored');
      return { model: withoutSession(model, session.id), code: 'ok' };
    case 'close-session':
      return { model: withoutSession(model, session.id), code: 'ok' };
    case 'write':
      return write(model, session.id, command.steps);
  }
}

function withoutSession(model: Model, id: string): Model {
  const ending = model.nodes.filter((node) => node.owner === id);
  const nodes = ending.reduce((left, node) => removeNode(left, node.path, model.zxid), model.nodes);
  return { ...model, nodes, sessions: model.sessions.filter((session) => session.id !== id) };
}

function write(model: Model, owner: string, steps: readonly WriteStep[]): Result {
  let nodes = model.nodes;
  for (const [index, step] of steps.entries()) {
    const next = writeStep(nodes, model.zxid, owner, step);
    if (typeof next === 'string') return { model, code: `${next}@${index}` };
    nodes = next;
  }
  return { model: { ...model, nodes }, code: 'ok' };
}

function writeStep(
  nodes: readonly ModelNode[],
  zxid: number,
  owner: string,
  step: WriteStep,
): readonly ModelNode[] | string {
  const at = (path: string): ModelNode | undefined => nodes.find((node) => node.path === path);
  if (step.kind === 'create') {
    const parent = at(parentPath(step.path));
    if (parent === undefined) return 'no-node';
    if (parent.owner !== '') return 'no-children-for-ephemerals';
    const path = step.path + (step.sequential ? String(parent.nextSequence).padStart(10, '0') : '');
    if (at(path) !== undefined) return 'node-exists';
    const node: ModelNode = {
      path,
      data: text(step.data),
      version: 0,
      cversion: 0,
      czxid: zxid,
      mzxid: zxid,
      pzxid: zxid,
      owner: step.ephemeral ? owner : '',
      nextSequence: 0,
    };
    const nextSequence = parent.nextSequence + (step.sequential ? 1 : 0);
    return [...replace(nodes, { ...parent, cversion: parent.cversion + 1, pzxid: zxid, nextSequence }), node];
  }
  const node = at(step.path);
  if (step.kind === 'delete' && step.path === '/') return 'invalid-path';
  if (node === undefined) return 'no-node';
  if (step.version !== -1 && step.version !== node.version) return 'bad-version';
  switch (step.kind) {
    case 'check':
      return step.czxid !== 0 && step.czxid !== node.czxid ? 'bad-version' : nodes;
    case 'set-data':
      return replace(nodes, { ...node, data: text(step.data), mzxid: zxid, version: node.version + 1 });
    case 'delete':
      return nodes.some((each) => each.path !== '/' && parentPath(each.path) === step.path)
        ? 'not-empty'
        : removeNode(nodes, step.path, zxid);
  }
}

function removeNode(nodes: readonly ModelNode[], path: string, zxid: number): readonly ModelNode[] {
  const parent = nodes.find((node) => node.path === parentPath(path)) as ModelNode;
  const left = nodes.filter((node) => node.path !== path);
  return replace(left, { ...parent, cversion: parent.cversion + 1, pzxid: zxid });
}

function replace(nodes: readonly ModelNode[], changed: ModelNode): readonly ModelNode[] {
  return nodes.map((node) => (node.path === changed.path ? changed : node));
}

function parentPath(path: string): string {
  return path.split('/').length === 2 ? '/' : path.split('/').slice(0, -1).join('/');
}

export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
