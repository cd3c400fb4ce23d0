import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { formatProperties, parseProperties } from '@naru/config';
import { createNodeRuntime } from '@naru/runtime/node';
import { CommandError } from '../command.ts';
import { askControl, type ControlRequest, type ControlResponse, serveControl } from './control.ts';
import { type ClusterLayout, type NodeLayout, nodeProperties, nodesOf, propertiesFile } from './layout.ts';
import { NodeProcess, type NodeStatus } from './node-process.ts';

export interface SupervisorOptions {
  readonly dataDirectory: string;
  readonly layout: ClusterLayout;
  /** Settings for every broker, over the defaults of a local cluster. */
  readonly brokerSettings?: Readonly<Record<string, string>>;
  readonly onDeath?: (status: NodeStatus) => void;
  /** Called when somebody asked for the end over the control socket. */
  readonly onStopRequested?: () => void;
}

/**
 * Runs the processes of a local cluster and answers `naru cluster status|restart|stop` from other terminals. A node that dies is
 * reported and stays down until it is restarted by name: this is a machine to see failures on, not one that hides them.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #disk = createNodeRuntime().disk;
  readonly #nodes = new Map<string, NodeProcess>();
  #control: { close(): void } | undefined;
  #stopped: Promise<void> | undefined;

  private constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Resolves when every node is ready. When one cannot start, all are stopped and its reason is thrown. */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const running = await askControl(options.dataDirectory, { command: 'status' });
    if (running?.ok) {
      throw new CommandError(
        `a cluster is already running in ${options.dataDirectory} (pid ${running.pid}); stop it with: naru cluster stop --data-dir ${options.dataDirectory}`,
      );
    }
    const supervisor = new Supervisor(options);
    await supervisor.#prepareDirectory();
    supervisor.#control = await serveControl(options.dataDirectory, (request) => supervisor.#handle(request));
    const starts = [...supervisor.#nodes.values()].map((node) => node.start());
    try {
      await Promise.all(starts);
    } catch (error) {
      await supervisor.stop();
      throw new CommandError((error as Error).message);
    }
    return supervisor;
  }

  get statuses(): NodeStatus[] {
    return [...this.#nodes.values()].map((node) => node.status);
  }

  async restart(name: string): Promise<void> {
    const node = this.#nodes.get(name);
    if (node === undefined)
      throw new CommandError(`no node '${name}'; there are ${[...this.#nodes.keys()].join(', ')}`);
    await node.stop();
    await node.start();
  }

  /** Brokers first, so that they can hand over and deregister while a coordinator still listens. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      const stopAll = (kind: string) =>
        Promise.all([...this.#nodes.values()].filter((node) => node.name.startsWith(kind)).map((node) => node.stop()));
      await stopAll('broker');
      await stopAll('coordinator');
      this.#control?.close();
    })();
    return this.#stopped;
  }

  async #prepareDirectory(): Promise<void> {
    const { dataDirectory, layout } = this.#options;
    try {
      await this.#disk.makeDirectory(dataDirectory);
      checkLayout(dataDirectory, layout);
      for (const node of nodesOf(layout)) {
        await this.#writeProperties(node);
        const properties = propertiesFile(dataDirectory, node);
        this.#nodes.set(
          node.name,
          new NodeProcess({ node, properties, onDeath: (status) => this.#options.onDeath?.(status) }),
        );
      }
      writeFileSync(join(dataDirectory, 'cluster.json'), `${JSON.stringify(layout)}\n`);
    } catch (error) {
      if (error instanceof CommandError) throw error;
      throw new CommandError(`cannot use the data directory ${dataDirectory}: ${(error as Error).message}`);
    }
  }

  /** What a user added to the file stays; what makes the node part of this cluster is written anew. */
  async #writeProperties(node: NodeLayout): Promise<void> {
    const { dataDirectory, layout, brokerSettings } = this.#options;
    const file = propertiesFile(dataDirectory, node);
    await this.#disk.makeDirectory(dirname(file));
    let existing: Record<string, string> = {};
    try {
      existing = parseProperties(readFileSync(file, 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    const settings = node.kind === 'broker' ? brokerSettings : {};
    writeFileSync(
      file,
      formatProperties({ ...existing, ...nodeProperties(resolve(dataDirectory), node, layout), ...settings }),
    );
  }

  async #handle(request: ControlRequest): Promise<ControlResponse> {
    switch (request.command) {
      case 'restart':
        await this.restart(request.node);
        break;
      case 'stop':
        await this.stop();
        this.#options.onStopRequested?.();
        break;
      case 'status':
        break;
    }
    return { ok: true, pid: process.pid, layout: this.#options.layout, nodes: this.statuses };
  }
}

/** A quorum is not resized by starting it with another number: the members are in its log. */
function checkLayout(dataDirectory: string, layout: ClusterLayout): void {
  const previous = readLayout(dataDirectory);
  if (previous === undefined || previous.coordinators === layout.coordinators) return;
  throw new CommandError(
    `${dataDirectory} holds a cluster of ${previous.coordinators} coordinators, not ${layout.coordinators}; use that number or another --data-dir`,
  );
}

/** The layout of the cluster that was last started in this directory. */
export function readLayout(dataDirectory: string): ClusterLayout | undefined {
  try {
    return JSON.parse(readFileSync(join(dataDirectory, 'cluster.json'), 'utf8')) as ClusterLayout;
  } catch {
    return undefined;
  }
}
