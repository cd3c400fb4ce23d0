export interface ConnectionLimits {
  /** `max.connections`: over all listeners. */
  readonly connectionsMax: number;
  /** `max.connections.per.ip`. */
  readonly perAddressMax: number;
  /** `max.connections.per.ip.overrides`, by address. */
  readonly perAddressOverrides: ReadonlyMap<string, number>;
}

/** How many connections are open on all listeners, whatever they speak, and who may open another one (KIP-308, KIP-402). */
export class ConnectionQuota {
  readonly #limits: ConnectionLimits;
  readonly #perAddress = new Map<string, number>();
  #count = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Why another connection from `host` is refused; undefined when it is counted from now on. A listener that is only for brokers is never full because of clients:
   * else whoever opens enough connections would stop the replication.
   */
  open(host: string, isForBrokers: boolean): string | undefined {
    const { connectionsMax, perAddressMax, perAddressOverrides } = this.#limits;
    const ofHost = this.#perAddress.get(host) ?? 0;
    const ofHostMax = perAddressOverrides.get(host) ?? perAddressMax;
    if (!isForBrokers && this.#count >= connectionsMax) return `max.connections (${connectionsMax}) are open`;
    if (ofHost >= ofHostMax) return `max.connections.per.ip (${ofHostMax}) are open from this address`;
    this.#count++;
    this.#perAddress.set(host, ofHost + 1);
    return undefined;
  }

  /** One that was counted is closed. */
  closed(host: string): void {
    this.#count--;
    const left = (this.#perAddress.get(host) ?? 1) - 1;
    if (left > 0) this.#perAddress.set(host, left);
    else this.#perAddress.delete(host);
  }
}
