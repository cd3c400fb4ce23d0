import { execFileSync } from 'node:child_process';
import { isAlive, processIdentity } from '../cluster/process-identity.ts';
import type { ChaosNetwork, Endpoint } from './network.ts';

/** Names of namespaces begin with it and go on with whose they are (`processIdentity`), so that leftovers of a dead harness are known. */
const namePrefix = 'naru-chaos-';

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function ipBatch(namespace: string | undefined, lines: readonly string[]): void {
  const where = namespace === undefined ? [] : ['-n', namespace];
  execFileSync('ip', [...where, '-batch', '-'], { input: `${lines.join('\n')}\n`, stdio: ['pipe', 'pipe', 'pipe'] });
}

/**
 * One network namespace for each endpoint and one for the router between them:
 *
 *     broker-1  10.7.1.2 ── 10.7.1.1 ┐
 *     broker-2  10.7.2.2 ── 10.7.2.1 ┼ router: a blackhole rule `from A to B` drops that direction alone, silently
 *     client    10.7.7.2 ── 10.7.7.1 ┘
 *
 * Nothing is connected to the host's own network, so that several runs never meet.
 */
export class NamespaceNetwork implements ChaosNetwork {
  readonly kind = 'namespaces' as const;
  readonly canDelay: boolean;
  readonly #endpoints: readonly Endpoint[];
  readonly #prefix = `${namePrefix}${processIdentity(process.pid)}-`;
  readonly #rules = new Set<string>();
  readonly #delayed = new Set<Endpoint>();

  /** Throws when this host does not allow it. */
  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints;
    removeLeftovers();
    try {
      this.#build();
      this.canDelay = this.#probeDelay();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  listenHost(endpoint: Endpoint): string {
    return `10.7.${this.#number(endpoint)}.2`;
  }

  advertisedHost(endpoint: Endpoint): string {
    return this.listenHost(endpoint);
  }

  commandPrefix(endpoint: Endpoint): readonly string[] {
    return ['ip', 'netns', 'exec', this.#name(endpoint)];
  }

  started(): void {}

  cut(from: Endpoint, to: Endpoint): void {
    const rule = `from ${this.listenHost(from)} to ${this.listenHost(to)} blackhole`;
    if (this.#rules.has(rule)) return;
    this.#rules.add(rule);
    ip('-n', this.#router, 'rule', 'add', ...rule.split(' '));
  }

  /** netem delays what leaves an interface towards `to`, whoever sent it: one delay for each receiver. */
  delay(_from: Endpoint, to: Endpoint, delayMs: number): void {
    const device = `v${this.#number(to)}`;
    tc(this.#router, 'qdisc', 'replace', 'dev', device, 'root', 'netem', 'delay', `${delayMs}ms`);
    this.#delayed.add(to);
  }

  heal(): void {
    if (this.#rules.size > 0) {
      ipBatch(
        this.#router,
        [...this.#rules].map((rule) => `rule del ${rule}`),
      );
      this.#rules.clear();
    }
    for (const to of this.#delayed) tc(this.#router, 'qdisc', 'del', 'dev', `v${this.#number(to)}`, 'root');
    this.#delayed.clear();
  }

  close(): void {
    removeNamespaces((name) => name.startsWith(this.#prefix));
  }

  get #router(): string {
    return `${this.#prefix}router`;
  }

  #name(endpoint: Endpoint): string {
    return `${this.#prefix}${endpoint}`;
  }

  #number(endpoint: Endpoint): number {
    const index = this.#endpoints.indexOf(endpoint);
    if (index < 0) throw new Error(`no endpoint '${endpoint}'`);
    return index + 1;
  }

  #build(): void {
    ipBatch(undefined, [
      `netns add ${this.#router}`,
      ...this.#endpoints.map((endpoint) => `netns add ${this.#name(endpoint)}`),
    ]);
    ipBatch(this.#router, [
      'link set lo up',
      ...this.#endpoints.flatMap((endpoint) => {
        const n = this.#number(endpoint);
        return [
          `link add v${n} type veth peer name eth0 netns ${this.#name(endpoint)}`,
          `addr add 10.7.${n}.1/24 dev v${n}`,
          `link set v${n} up`,
        ];
      }),
    ]);
    for (const endpoint of this.#endpoints) {
      const n = this.#number(endpoint);
      ipBatch(this.#name(endpoint), [
        'link set lo up',
        `addr add 10.7.${n}.2/24 dev eth0`,
        'link set eth0 up',
        `route add default via 10.7.${n}.1`,
      ]);
    }
    ip('netns', 'exec', this.#router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  }

  #probeDelay(): boolean {
    try {
      tc(this.#router, 'qdisc', 'add', 'dev', 'v1', 'root', 'netem', 'delay', '1ms');
      tc(this.#router, 'qdisc', 'del', 'dev', 'v1', 'root');
      return true;
    } catch {
      return false;
    }
  }
}

function tc(namespace: string, ...args: string[]): void {
  execFileSync('tc', ['-n', namespace, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

function namespaces(): string[] {
  return ip('netns', 'list')
    .split('\n')
    .map((line) => line.split(' ')[0] as string)
    .filter((name) => name.startsWith(namePrefix));
}

function removeNamespaces(which: (name: string) => boolean): void {
  for (const name of namespaces().filter(which)) {
    try {
      ip('netns', 'del', name);
    } catch {
      // Another run that cleans up at the same moment was faster.
    }
  }
}

/** A harness that was killed could not remove its namespaces. */
function removeLeftovers(): void {
  removeNamespaces((name) => {
    const owner = name.slice(namePrefix.length).split('-')[0] as string;
    return !isAlive(owner);
  });
}
