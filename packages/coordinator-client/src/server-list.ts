import type { Address, Random } from '@naru/runtime';
import { CoordinatorError } from './session.ts';

/** `host:port` or `[v6 address]:port`. Throws `CoordinatorError` `connection-loss` with a line that shows what is wrong. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new CoordinatorError('connection-loss', `'${text}' is not an address: it must be host:port`);
  }
  return { host: match[1] ?? match[2] ?? '', port };
}

/** Hints followed one after the other: two nodes that each take the other for the leader must not keep a client running. */
const hintsInRowMax = 3;

/**
 * Where to try next: the leader that a node named, else the known servers in turn, from a random one so that many clients
 * do not all ask the same. `next` says, too, whether every server has now failed once: time to wait a little.
 */
export class ServerList {
  readonly #servers: readonly Address[];
  #position: number;
  #triedInRound = 0;
  #hint: Address | undefined;
  #hintsInRow = 0;

  constructor(servers: readonly string[], random: Random) {
    if (servers.length === 0) throw new CoordinatorError('connection-loss', 'no address of a coordinator is given');
    this.#servers = servers.map(parseAddress);
    this.#position = random.nextInt(servers.length);
  }

  next(): Address {
    const hint = this.#hint;
    this.#hint = undefined;
    if (hint !== undefined) return hint;
    const server = this.#servers[this.#position % this.#servers.length] as Address;
    this.#position = (this.#position + 1) % this.#servers.length;
    this.#triedInRound += 1;
    return server;
  }

  /** A node that does not lead said who does. False: not believed, too many hints have led nowhere. */
  suggest(leaderAddress: string): boolean {
    if (leaderAddress === '' || this.#hintsInRow >= hintsInRowMax) return false;
    this.#hintsInRow += 1;
    this.#hint = parseAddress(leaderAddress);
    return true;
  }

  /** True once after each full round. */
  roundIsOver(): boolean {
    if (this.#hint !== undefined || this.#triedInRound < this.#servers.length) return false;
    this.#triedInRound = 0;
    this.#hintsInRow = 0;
    return true;
  }

  /** The server that was tried last serves: a break is no reason to think ill of it. */
  succeeded(): void {
    this.#triedInRound = 0;
    this.#hintsInRow = 0;
  }
}
