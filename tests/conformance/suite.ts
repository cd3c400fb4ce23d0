import type { Client } from '@naru/client';
import type { CheckList } from './check-list.ts';

/** What a suite finds running. */
export interface World {
  readonly sdk: Client;
  readonly servers: string;
  /** Of the whole cluster: `broker-1/…` and so on. */
  readonly dataDirectory: string;
}

/** One foreign program and what it is asked to do. */
export interface Suite {
  readonly name: string;
  /** Returns the program's version. Throws `Unavailable` before its first check when the program cannot be had. */
  run(world: World, list: CheckList): Promise<string>;
}
