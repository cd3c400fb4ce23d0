import type { WriteOperation } from '@naru/coordinator-client';
import { applySnapshot } from '../metadata-builder.ts';
import { emptyImage, type MetadataImage } from '../metadata-image.ts';
import type { PartitionState } from '../partition-state.ts';
import { encodePartitionState } from '../partition-state-codec.ts';
import { type BrokerIdentity, ensureTree, registerBroker } from '../registration.ts';
import { encodeConfig, encodeTopic } from '../znode-codecs.ts';
import { paths } from '../znode-paths.ts';
import { CoordinatorModel, type ModelSession } from './coordinator-model.ts';

/** A topic id for tests: readable, and of the right form. */
export function topicIdOf(name: string): string {
  return name.padEnd(22, '-').slice(0, 22);
}

export function identityOf(brokerId: number, extra: Partial<BrokerIdentity> = {}): BrokerIdentity {
  return {
    brokerId,
    endpoints: [
      { listener: 'PLAINTEXT', protocol: 'PLAINTEXT', address: { host: `host-${brokerId}`, port: 9092 } },
      { listener: 'INTERNAL', protocol: 'PLAINTEXT', address: { host: `host-${brokerId}`, port: 9093 } },
    ],
    rack: undefined,
    directoryId: `directory-${brokerId}`,
    damaged: new Map(),
    ...extra,
  };
}

/** A cluster's znodes, made by the operations that make them in production; `image` is what a broker would see. */
export class ClusterModel {
  readonly coordinator = new CoordinatorModel();
  readonly sessions = new Map<number, ModelSession>();
  readonly admin: ModelSession = this.coordinator.openSession();

  static async create(brokerIds: readonly number[]): Promise<ClusterModel> {
    const cluster = new ClusterModel();
    await ensureTree(cluster.admin);
    for (const brokerId of brokerIds) await cluster.start(brokerId);
    return cluster;
  }

  readonly #directories = new Map<number, string>();

  /** Registers a new incarnation, with the directory of the one before, and returns its epoch. */
  async start(brokerId: number, extra: Partial<BrokerIdentity> = {}): Promise<number> {
    const session = this.coordinator.openSession();
    this.sessions.set(brokerId, session);
    const directoryId = extra.directoryId ?? this.#directories.get(brokerId) ?? `directory-${brokerId}`;
    this.#directories.set(brokerId, directoryId);
    return registerBroker(session, identityOf(brokerId, { ...extra, directoryId }));
  }

  kill(brokerId: number): void {
    const session = this.sessions.get(brokerId);
    if (session?.isLive) this.coordinator.expire(session);
  }

  /** The broker is back before anybody saw it gone (row 10). */
  async bounce(brokerId: number, extra: Partial<BrokerIdentity> = {}): Promise<number> {
    return this.start(brokerId, extra);
  }

  epoch(brokerId: number): number {
    return this.image.brokers.get(brokerId)?.epoch ?? -1;
  }

  async createTopic(
    name: string,
    replicas: readonly (readonly number[])[],
    config: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const assignment = { topicId: topicIdOf(name), replicas, adding: new Map(), removing: new Map() };
    await this.admin.write([
      { kind: 'create', path: paths.topic(name), data: encodeTopic(assignment) },
      { kind: 'create', path: paths.topicConfig(name), data: encodeConfig(new Map(Object.entries(config))) },
      { kind: 'create', path: paths.partitions(name), data: new Uint8Array() },
    ]);
  }

  async setState(name: string, partition: number, state: PartitionState): Promise<void> {
    const path = paths.partitionState(name, partition);
    const data = encodePartitionState(state);
    const isNew = !this.coordinator.nodes.has(path);
    const operations: readonly WriteOperation[] = isNew
      ? [
          { kind: 'create', path: paths.partition(name, partition), data: new Uint8Array() },
          { kind: 'create', path, data },
        ]
      : [{ kind: 'set-data', path, data }];
    await this.admin.write(operations);
  }

  get image(): MetadataImage {
    return applySnapshot(emptyImage, this.coordinator.snapshot(), this.coordinator.zxid, (error) => {
      throw error;
    });
  }
}
