import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type ChaosNetwork, client, type Endpoint } from './network.ts';

/** What a proxy stands before. */
export interface ProxiedPort {
  readonly endpoint: Endpoint;
  readonly port: number;
}

/** How one direction between two endpoints behaves. */
interface Direction {
  cut: boolean;
  delayMs: number;
}

/**
 * The same without privileges. Each node binds 127.x.1.n and advertises 127.x.2.n, where a proxy listens on the same port. Whose connection
 * it is follows from /proc: the process that owns the other end of the accepted socket. A direction that is cut is not read from: the sender's
 * bytes wait in the socket buffers as on a network that loses every packet until it heals; an end of a connection is not passed on either.
 */
export class ProxyNetwork implements ChaosNetwork {
  readonly kind = 'proxies' as const;
  readonly canDelay = true;
  readonly #endpoints: readonly Endpoint[];
  readonly #net: number;
  readonly #pids = new Map<number, Endpoint>();
  readonly #directions = new Map<string, Direction>();
  readonly #pumps = new Set<Pump>();
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints;
    // One network of 127/8 for each run: two harnesses do not meet.
    this.#net = 1 + (process.pid % 250);
  }

  /** Resolves when the proxies of all ports listen. */
  async open(ports: readonly ProxiedPort[]): Promise<void> {
    await Promise.all(ports.map((port) => this.#listen(port)));
  }

  listenHost(endpoint: Endpoint): string {
    return `127.${this.#net}.1.${this.#number(endpoint)}`;
  }

  advertisedHost(endpoint: Endpoint): string {
    return `127.${this.#net}.2.${this.#number(endpoint)}`;
  }

  commandPrefix(): readonly string[] {
    return [];
  }

  started(endpoint: Endpoint, pid: number): void {
    this.#pids.set(pid, endpoint);
  }

  cut(from: Endpoint, to: Endpoint): void {
    this.#direction(from, to).cut = true;
    this.#changed();
  }

  delay(from: Endpoint, to: Endpoint, delayMs: number): void {
    this.#direction(from, to).delayMs = delayMs;
    this.#changed();
  }

  heal(): void {
    for (const direction of this.#directions.values()) {
      direction.cut = false;
      direction.delayMs = 0;
    }
    this.#changed();
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #number(endpoint: Endpoint): number {
    const index = this.#endpoints.indexOf(endpoint);
    if (index < 0) throw new Error(`no endpoint '${endpoint}'`);
    return index + 1;
  }

  #direction(from: Endpoint, to: Endpoint): Direction {
    const key = `${from}>${to}`;
    let direction = this.#directions.get(key);
    if (direction === undefined) {
      direction = { cut: false, delayMs: 0 };
      this.#directions.set(key, direction);
    }
    return direction;
  }

  #changed(): void {
    for (const pump of this.#pumps) pump.update();
  }

  #listen({ endpoint, port }: ProxiedPort): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(endpoint, port, socket),
    );
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, this.advertisedHost(endpoint), resolve);
    });
  }

  #accept(to: Endpoint, port: number, near: Socket): void {
    const from = ownerOf(near.remotePort ?? 0, this.#pids) ?? client;
    const far = connect({ host: this.listenHost(to), port, allowHalfOpen: true, noDelay: true });
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    }
    const there = new Pump(near, far, this.#direction(from, to));
    const back = new Pump(far, near, this.#direction(to, from));
    for (const pump of [there, back]) {
      this.#pumps.add(pump);
      pump.onEnd = () => this.#pumps.delete(pump);
    }
  }
}

/** Carries the bytes of one direction of one connection. */
class Pump {
  onEnd: () => void = () => {};
  readonly #source: Socket;
  readonly #target: Socket;
  readonly #direction: Direction;
  /** Arrival times of what waits, in order; undefined stands for the end of the connection. */
  readonly #queue: { readonly atMs: number; readonly bytes: Buffer | undefined; readonly broken: boolean }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Socket, target: Socket, direction: Direction) {
    this.#source = source;
    this.#target = target;
    this.#direction = direction;
    source.on('data', (bytes) => this.#arrived(bytes, false));
    source.once('end', () => this.#arrived(undefined, false));
    source.once('error', () => this.#arrived(undefined, true));
    source.once('close', (failed) => this.#arrived(undefined, failed));
    target.on('drain', () => this.update());
    this.update();
  }

  update(): void {
    if (this.#direction.cut) {
      this.#source.pause();
      return;
    }
    if (this.#target.writableNeedDrain) this.#source.pause();
    else this.#source.resume();
    this.#deliver();
  }

  #arrived(bytes: Buffer | undefined, broken: boolean): void {
    this.#queue.push({ atMs: performance.now() + this.#direction.delayMs, bytes, broken });
    this.#deliver();
  }

  #deliver(): void {
    if (this.#direction.cut) return;
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined) return;
      const waitMs = next.atMs - performance.now();
      if (waitMs > 0 && this.#direction.delayMs > 0) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#deliver(), waitMs);
        return;
      }
      this.#queue.shift();
      if (next.bytes !== undefined) {
        if (!this.#target.write(next.bytes)) this.#source.pause();
      } else this.#end(next.broken);
    }
  }

  #end(broken: boolean): void {
    if (broken) this.#target.resetAndDestroy();
    else this.#target.end();
    if (this.#source.destroyed) this.onEnd();
  }
}

/** The endpoint whose process has a socket bound to `port` of the loopback address. */
function ownerOf(port: number, pids: ReadonlyMap<number, Endpoint>): Endpoint | undefined {
  const inode = inodeOf(port);
  if (inode === undefined) return undefined;
  for (const [pid, endpoint] of pids) {
    try {
      for (const name of readdirSync(`/proc/${pid}/fd`)) {
        if (readLink(`/proc/${pid}/fd/${name}`) === `socket:[${inode}]`) return endpoint;
      }
    } catch {
      // The process is gone.
    }
  }
  return undefined;
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** From /proc/net/tcp: local address, remote address, state, …, inode in the tenth column. */
function inodeOf(port: number): string | undefined {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const columns = line.trim().split(/\s+/);
    if (columns[1]?.endsWith(suffix) && columns[3] !== '0A' && columns[9] !== '0') return columns[9];
  }
  return undefined;
}
