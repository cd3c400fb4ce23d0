import { limits } from './limits.ts';

/**
 * Why a path cannot name a znode, or undefined when it can: absolute, no empty, `.` or `..` component, no slash at the end, no
 * control or private-use characters, well-formed Unicode (so that its bytes lead back to the same string on every node).
 */
export function pathFault(path: string): string | undefined {
  if (path === '/') return undefined;
  if (!path.startsWith('/')) return `path '${shown(path)}' must start with /`;
  if (path.length > limits.pathLengthMax)
    return `path is longer than ${limits.pathLengthMax} characters (pathLengthMax)`;
  if (path.endsWith('/')) return `path '${shown(path)}' must not end with /`;
  if (path.includes('//')) return `path '${shown(path)}' has an empty component`;
  if (relativeComponent.test(path)) return `path '${shown(path)}' has a relative component`;
  if (forbidden.test(path) || !path.isWellFormed()) return `path '${shown(path)}' has a forbidden character`;
  return undefined;
}

/** As `pathFault`, but a sequential znode may be named by its counter alone: `/queue/`. */
export function createPathFault(path: string, sequential: boolean): string | undefined {
  if (path === '/') return sequential ? undefined : 'the root exists always';
  return sequential && path.endsWith('/') && !path.endsWith('//') ? pathFault(path.slice(0, -1)) : pathFault(path);
}

/** `/a/b` → `/a`, `/a` → `/`. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

/** `/a/b` → `b`. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function childPath(parent: string, name: string): string {
  return parent === '/' ? `/${name}` : `${parent}/${name}`;
}

/** The path itself or anything below it. */
export function isWithin(path: string, ancestor: string): boolean {
  return (
    ancestor === '/' ||
    path === ancestor ||
    (path.startsWith(ancestor) && path.charCodeAt(ancestor.length) === slashCode)
  );
}

const slashCode = 0x2f;
const relativeComponent = /\/\.{1,2}(\/|$)/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
const forbidden = /[\u0000-\u001f\u007f-\u009f\ue000-\uf8ff\ufff0-\uffff]/;

function shown(path: string): string {
  return path.length <= 80 ? path : `${path.slice(0, 80)}…`;
}
