import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@naru/client';
import { afterAll, beforeAll } from 'vitest';
import { type LocalCluster, startLocalCluster } from '../../bench/local-cluster.ts';
import { type Finished, run } from './commands.ts';

/** A cluster of real processes for one test file: started before its first test, gone with its files after the last. */
export class TestCluster {
  #cluster: LocalCluster | undefined;
  #client: Client | undefined;
  readonly #folder = mkdtempSync(join(tmpdir(), 'naru-tools-'));

  constructor(size: { readonly brokers: number; readonly coordinators: number }) {
    beforeAll(async () => {
      this.#cluster = await startLocalCluster(size);
      this.#client = new Client({ bootstrapServers: this.bootstrapServers });
    }, 60_000);
    afterAll(async () => {
      await this.#client?.close();
      await this.#cluster?.[Symbol.asyncDispose]();
      rmSync(this.#folder, { recursive: true, force: true });
    }, 60_000);
  }

  get local(): LocalCluster {
    if (this.#cluster === undefined)
      throw new Error('the cluster starts before the first test, not while tests are collected');
    return this.#cluster;
  }

  get client(): Client {
    if (this.#client === undefined) throw new Error('the client is there from the first test on');
    return this.#client;
  }

  get bootstrapServers(): string {
    return this.local.bootstrapServers;
  }

  /** Where the test's own files go. */
  path(name: string): string {
    return join(this.#folder, name);
  }

  /** Writes a file that a tool is to read; answers its path. */
  file(name: string, content: string | Uint8Array): string {
    writeFileSync(this.path(name), content);
    return this.path(name);
  }

  /** Runs a launcher of `bin/` against the cluster to its end. */
  run(name: string, argv: readonly string[], input = ''): Promise<Finished> {
    return run(name, ['--bootstrap-server', this.bootstrapServers, ...argv], { input });
  }

  /** A launcher of `bin/` as a function of its arguments. */
  tool(name: string): (...argv: string[]) => Promise<Finished> {
    return (...argv) => this.run(name, argv);
  }
}
