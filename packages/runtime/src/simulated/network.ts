import {
  type Address,
  type Connection,
  connectTimeoutMsDefault,
  formatAddress,
  type Listener,
  type Network,
  NetworkError,
  type NetworkErrorCode,
} from '../network.ts';
import { type EndOptions, SimulatedConnection } from './connection.ts';
import type { EventLoop } from './event-loop.ts';
import { Link } from './link.ts';
import { Pipe } from './pipe.ts';
import type { SimulatedProcess } from './process.ts';
import type { Delay, SeededRandom } from './seeded-random.ts';

/** Between two hosts of one data centre. */
export const networkDelayDefault: Delay = { minMs: 0.1, meanMs: 0.3 };

const loopbackDelay: Delay = { minMs: 0.01, meanMs: 0.02 };

/** The first port that the system gives away by itself. */
const ephemeralPortMin = 32_768;

interface ListeningPort {
  readonly process: SimulatedProcess;
  readonly onConnection: (connection: Connection) => void;
}

/** A machine as the network sees it. */
interface Host {
  readonly name: string;
  readonly ports: Map<number, ListeningPort>;
  nextPort: number;
  /** Without power nothing answers; with power but without a listener connections are refused. */
  powered: boolean;
  /** Ends that died with the power and that peers still believe in. */
  orphans: SimulatedConnection[];
}

export interface Direction {
  /** Only from the first to the second host; the other way stays as it is. */
  readonly oneWay?: boolean;
}

/** The network between the nodes, and the hand that harms it. Hosts are named like the nodes. */
export class SimulatedNetwork {
  readonly #loop: EventLoop;
  readonly #random: SeededRandom;
  readonly #delay: Delay;
  readonly #hosts = new Map<string, Host>();
  readonly #links = new Map<string, Link>();
  readonly #connections = new Set<SimulatedConnection>();

  constructor(loop: EventLoop, random: SeededRandom, delay: Delay) {
    this.#loop = loop;
    this.#random = random;
    this.#delay = delay;
  }

  /** A partition between two hosts: nothing arrives, nobody is told; what was sent arrives after `heal`. */
  cut(a: string, b: string, direction?: Direction): void {
    for (const link of this.#linksBetween(a, b, direction)) link.cut();
  }

  /** Cuts a host from all others. */
  isolate(host: string): void {
    for (const other of this.#hosts.keys()) if (other !== host) this.cut(host, other);
  }

  heal(a: string, b: string, direction?: Direction): void {
    for (const link of this.#linksBetween(a, b, direction)) link.heal();
  }

  healAll(): void {
    for (const link of this.#links.values()) link.heal();
  }

  /** For a time everything sent between two hosts waits, then arrives. */
  clog(a: string, b: string, durationMs: number, direction?: Direction): void {
    for (const link of this.#linksBetween(a, b, direction)) link.clog(durationMs);
  }

  setDelay(a: string, b: string, delay: Delay, direction?: Direction): void {
    for (const link of this.#linksBetween(a, b, direction)) link.delay = delay;
  }

  /** Resets the connections between two hosts, or all of one host. Returns how many. */
  resetConnections(a: string, b?: string): number {
    let count = 0;
    for (const connection of this.#connections) {
      const [here, there] = [connection.process.host, connection.remote.host];
      const isBetween = (here === a && there === (b ?? there)) || (there === a && here === (b ?? here));
      if (!isBetween) continue;
      connection.breakOff();
      count++;
    }
    return Math.ceil(count / 2);
  }

  /** @internal */
  addHost(name: string): void {
    this.#hosts.set(name, { name, ports: new Map(), nextPort: ephemeralPortMin, powered: true, orphans: [] });
  }

  /** @internal The network as one process sees it. */
  networkOf(process: SimulatedProcess): Network {
    return {
      kind: 'simulated',
      hostName: process.host,
      listen: (address, onConnection) => this.#listen(process, address, onConnection),
      connect: (address, options) => this.#connect(process, address, options?.timeoutMs ?? connectTimeoutMsDefault),
    };
  }

  /** @internal Ends what the process had open. With `silent` peers learn nothing. */
  abandon(process: SimulatedProcess, silent: boolean): void {
    const host = this.#host(process.host);
    for (const [port, listening] of host.ports) if (listening.process === process) host.ports.delete(port);
    for (const connection of this.#connections) {
      if (connection.process !== process) continue;
      if (silent) host.orphans.push(connection);
      connection.abandon(silent);
    }
  }

  /** @internal */
  powerOff(hostName: string): void {
    this.#host(hostName).powered = false;
  }

  /** @internal */
  powerOn(hostName: string): void {
    const host = this.#host(hostName);
    host.powered = true;
    for (const connection of host.orphans.splice(0)) connection.wakeUp();
  }

  #listen(
    process: SimulatedProcess,
    address: Address,
    onConnection: (connection: Connection) => void,
  ): Promise<Listener> {
    const host = this.#host(process.host);
    const port = address.port === 0 ? this.#freePort(host) : address.port;
    return new Promise((resolve, reject) => {
      if (!process.alive) return;
      if (host.ports.has(port)) {
        const error = networkError('address-in-use', address, 'the address is in use');
        process.after(0, () => reject(error));
        return;
      }
      const listening: ListeningPort = { process, onConnection };
      host.ports.set(port, listening);
      const close = async (): Promise<void> => {
        if (host.ports.get(port) === listening) host.ports.delete(port);
        await process.wait(0);
      };
      process.after(0, () => resolve({ address: { host: address.host, port }, close }));
    });
  }

  #connect(process: SimulatedProcess, address: Address, timeoutMs: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      if (!process.alive) return;
      const timer = process.after(timeoutMs, () => {
        settle(() => reject(networkError('timeout', address, `no connection within ${timeoutMs} ms`)));
      });
      let settled = false;
      const settle = (outcome: () => void): boolean => {
        if (settled) return false;
        settled = true;
        timer.run = undefined;
        outcome();
        return true;
      };
      const target = this.#hosts.get(isOwnName(address.host) ? process.host : address.host);
      if (target === undefined) {
        process.after(0, () =>
          settle(() => reject(networkError('unreachable', address, 'the host name is not known'))),
        );
        return;
      }
      this.#knock(process, target, address, {
        connected: (connection) => {
          if (!settle(() => resolve(connection))) connection.destroy();
        },
        refused: () => settle(() => reject(networkError('refused', address, 'connection refused'))),
      });
    });
  }

  /** The handshake: one trip there, one back. The target's system answers, also for a program that is paused. */
  #knock(process: SimulatedProcess, target: Host, address: Address, answer: Answer): void {
    const there = this.#link(process.host, target.name);
    const back = this.#link(target.name, process.host);
    const localPort = this.#freePort(this.#host(process.host));
    there.transmit(() => {
      if (!target.powered) return;
      const listening = target.ports.get(address.port);
      if (listening === undefined) {
        back.transmit(() => process.after(0, answer.refused));
        return;
      }
      if (!process.alive) return;
      const server = listening.process;
      const [outgoing, incoming] = [new Pipe(there), new Pipe(back)];
      const ours = this.#end({ process, remote: { host: target.name, port: address.port }, outgoing, incoming });
      const remote = { host: process.host, port: localPort };
      const theirs = this.#end({ process: server, remote, outgoing: incoming, incoming: outgoing });
      server.after(0, () => listening.onConnection(theirs));
      back.transmit(() => process.after(0, () => answer.connected(ours)));
    });
  }

  #end(options: Omit<EndOptions, 'random'>): SimulatedConnection {
    const end = new SimulatedConnection({ ...options, random: this.#random }, () => this.#connections.delete(end));
    this.#connections.add(end);
    return end;
  }

  #freePort(host: Host): number {
    while (host.ports.has(host.nextPort)) host.nextPort++;
    return host.nextPort++;
  }

  #host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
  }

  #linksBetween(a: string, b: string, direction?: Direction): Link[] {
    this.#host(a);
    this.#host(b);
    return direction?.oneWay ? [this.#link(a, b)] : [this.#link(a, b), this.#link(b, a)];
  }

  #link(from: string, to: string): Link {
    const key = `${from}→${to}`;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = new Link(this.#loop, this.#random, from === to ? loopbackDelay : this.#delay, to);
      this.#links.set(key, link);
    }
    return link;
  }
}

interface Answer {
  readonly connected: (connection: SimulatedConnection) => void;
  readonly refused: () => void;
}

function isOwnName(host: string): boolean {
  return host === 'localhost' || host === '127.0.0.1' || host === '::1' || host === '0.0.0.0' || host === '::';
}

function networkError(code: NetworkErrorCode, address: Address, text: string): NetworkError {
  return new NetworkError(code, `${formatAddress(address)}: ${text}`);
}
