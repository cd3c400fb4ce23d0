/** A place that messages come from or go to: a node's name, `client` (the workload) or `observer` (the harness's eye, never cut off). */
export type Endpoint = string;

export const client: Endpoint = 'client';
export const observer: Endpoint = 'observer';

export type NetworkKind = 'namespaces' | 'proxies';

/**
 * The network between the processes of one run. Every fault is of one direction, `from` → `to`; nothing tells the processes that it is there but
 * silence: no reset, no refusal.
 */
export interface ChaosNetwork {
  readonly kind: NetworkKind;
  /** Whether messages can be made late. */
  readonly canDelay: boolean;
  /** Address that a node binds. */
  listenHost(endpoint: Endpoint): string;
  /** Address by which the others reach it. */
  advertisedHost(endpoint: Endpoint): string;
  /** What stands before a command that is to run at `endpoint`. */
  commandPrefix(endpoint: Endpoint): readonly string[];
  /** Tells whose connections a process opens. */
  started(endpoint: Endpoint, pid: number): void;
  /** From now on nothing gets from `from` to `to`. */
  cut(from: Endpoint, to: Endpoint): void;
  /** From now on everything from `from` to `to` arrives `delayMs` later, in order. */
  delay(from: Endpoint, to: Endpoint, delayMs: number): void;
  /** Ends every cut and delay; what was held back arrives. */
  heal(): void;
  close(): void;
}
