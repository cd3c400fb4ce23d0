import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootstrapServers, type ClusterLayout, Supervisor } from '@naru/cli';

export interface LocalCluster extends AsyncDisposable {
  readonly supervisor: Supervisor;
  readonly layout: ClusterLayout;
  readonly bootstrapServers: string;
  readonly dataDirectory: string;
  /** From the first process to the last ready one, milliseconds. */
  readonly startMs: number;
}

export interface LocalClusterOptions {
  readonly brokers?: number;
  readonly coordinators?: number;
  readonly brokerSettings?: Readonly<Record<string, string>>;
  /** Kept when given; else a temporary directory that goes with the cluster. */
  readonly dataDirectory?: string;
}

/** A cluster of real processes on free ports. */
export async function startLocalCluster(options: LocalClusterOptions = {}): Promise<LocalCluster> {
  const dataDirectory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'naru-'));
  const size = { brokers: options.brokers ?? 3, coordinators: options.coordinators ?? 3 };
  const layout: ClusterLayout = {
    version: 1,
    ...size,
    portOffset: await freePortOffset(size.brokers, size.coordinators),
  };
  const began = performance.now();
  const supervisor = await Supervisor.start({
    dataDirectory,
    layout,
    ...(options.brokerSettings === undefined ? {} : { brokerSettings: options.brokerSettings }),
  });
  return {
    supervisor,
    layout,
    bootstrapServers: bootstrapServers(layout),
    dataDirectory,
    startMs: performance.now() - began,
    [Symbol.asyncDispose]: async () => {
      await supervisor.stop();
      if (options.dataDirectory === undefined) rmSync(dataDirectory, { recursive: true, force: true });
    },
  };
}

/** An offset at which every port of such a cluster is free at this moment. */
export async function freePortOffset(brokers: number, coordinators: number): Promise<number> {
  const bases = [
    ...Array.from({ length: coordinators }, (_, i) => [2181 + 10 * i, 2888 + 10 * i]).flat(),
    ...Array.from({ length: brokers }, (_, i) => [9092 + 10 * i, 9093 + 10 * i, 9404 + 10 * i]).flat(),
  ];
  // Below the range from which the system takes ports for outgoing connections (32768 on Linux).
  for (let attempt = 0; attempt < 50; attempt++) {
    const offset = 1_000 + 100 * Math.floor(Math.random() * 200);
    const free = await Promise.all(bases.map((base) => isFree(base + offset)));
    if (free.every(Boolean)) return offset;
  }
  throw new Error('no free range of ports found in 50 attempts');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, 'localhost', () => server.close(() => resolve(true)));
  });
}
