import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../command-line.ts';
import type { Cell } from '../cells.ts';
import { endpoints, proxiedPorts } from '../cluster/chaos-cluster.ts';
import { compileShim } from '../cluster/preload-shim.ts';
import { NamespaceNetwork } from '../network/namespaces.ts';
import type { ChaosNetwork, NetworkKind } from '../network/network.ts';
import { ProxyNetwork } from '../network/proxies.ts';

/** What this host lets the harness do; found out by trying. */
export interface Host {
  readonly namespaces: NamespaceNetwork | undefined;
  /** Why there are none. */
  readonly namespacesRefused: string;
  readonly shim: string | undefined;
  /** Why there is none. */
  readonly shimRefused: string;
  readonly canMount: boolean;
  /** Nothing of it is used any more. */
  close(): void;
}

/** Throws when it cannot give the network that is asked for. */
export function probeHost(wanted: NetworkKind | undefined): Host {
  let namespaces: NamespaceNetwork | undefined;
  let namespacesRefused = 'not asked for';
  if (wanted !== 'proxies') {
    try {
      namespaces = new NamespaceNetwork(endpoints);
    } catch (error) {
      namespacesRefused = (error as Error).message.split('\n').join(' ').trim();
    }
  }
  if (wanted === 'namespaces' && namespaces === undefined) {
    throw new UsageError(`this host gives no network namespaces: ${namespacesRefused}`);
  }
  // Not where the runs are: LD_PRELOAD has no way to name a path with a space.
  const directory = mkdtempSync(join(tmpdir(), 'naru-chaos-shim-'));
  const shim = compileShim(directory);
  const close = (): void => {
    namespaces?.close();
    rmSync(directory, { recursive: true, force: true });
  };
  return {
    namespaces,
    namespacesRefused,
    shim: shim.library,
    shimRefused: shim.refused,
    canMount: probeMount(),
    close,
  };
}

function probeMount(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'naru-chaos-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'naru-chaos', directory], { stdio: 'pipe' });
    execFileSync('umount', [directory], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(directory);
  }
}

/** Lines for the head of a report. */
export function describeHost({ namespaces, namespacesRefused, shim, shimRefused, canMount }: Host): string[] {
  const network =
    namespaces === undefined
      ? `user-space TCP proxies (network namespaces: ${namespacesRefused})`
      : `network namespaces${namespaces.canDelay ? '' : '; for late messages, which this kernel cannot make (no netem), user-space TCP proxies'}`;
  return [
    `network: ${network}`,
    `syncs, clocks: ${shim === undefined ? `no preloaded shim (${shimRefused}); cells with failing or slow syncs, wrong clocks and loss of power are skipped` : 'a preloaded shim'}`,
    `disks: ${canMount ? 'tmpfs of a fixed size for cells with a full disk' : 'mounting is not permitted, cells with a full disk are skipped'}`,
  ];
}

/** Why a cell cannot run here; undefined: it can. */
export function missing(cell: Cell, host: Host): string | undefined {
  if (cell.fault.needs.includes('shim') && host.shim === undefined) return `no preloaded shim (${host.shimRefused})`;
  if (cell.fault.needs.includes('mount') && !host.canMount) return 'mounting is not permitted';
  return undefined;
}

/** The network that can do what the cell needs. `release` when the cell is over. */
export async function networkFor(cell: Cell, host: Host): Promise<{ network: ChaosNetwork; release: () => void }> {
  const { namespaces } = host;
  if (namespaces !== undefined && (namespaces.canDelay || !cell.fault.needs.includes('delay'))) {
    return { network: namespaces, release: () => {} };
  }
  const proxies = new ProxyNetwork(endpoints);
  await proxies.open(proxiedPorts);
  return { network: proxies, release: () => proxies.close() };
}
