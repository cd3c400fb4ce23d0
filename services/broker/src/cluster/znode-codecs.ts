import { type Endpoint, formatEndpointUri, parseEndpointUri, securityProtocols } from './endpoint.ts';
import { encodeJson, ZnodeDecodeError, ZnodeFields } from './znode-fields.ts';

/** `/brokers/ids/N`: what a broker says about itself while it lives. */
export interface BrokerRegistration {
  /** Where it is reached, by listener. */
  readonly endpoints: readonly Endpoint[];
  readonly rack: string | undefined;
  /** Names the data directory, not the machine: an emptied disk gets a new one. */
  readonly directoryId: string;
  /** Replicas on this broker whose log is damaged, by `replicaKey`, and what is left of them (row 57). */
  readonly damaged: DamagedReplicas;
  /** In a controlled shutdown: nobody admits it to an ISR, and the controller elects it only when nobody else is left. */
  readonly stopping: boolean;
}

export type DamagedReplicas = ReadonlyMap<string, DamagedReplica>;

/** The intact part of a damaged log. */
export interface DamagedReplica {
  readonly endOffset: number;
  /** Of the last batch in it; -1 when there is none. */
  readonly leaderEpoch: number;
  /** The damage may be nothing but writes that were never synced: then everything that was acknowledged lies below it. */
  readonly beyondRecoveryPoint: boolean;
}

const brokerVersion = 6;

/** How a replica is named in `damaged`. */
export function replicaKey(topicId: string, partition: number): string {
  return `${topicId}:${partition}`;
}

export function encodeBroker(broker: BrokerRegistration): Uint8Array {
  return encodeJson({
    version: brokerVersion,
    endpoints: broker.endpoints.map(formatEndpointUri),
    listener_security_protocol_map: Object.fromEntries(
      broker.endpoints.map(({ listener, protocol }) => [listener, protocol]),
    ),
    rack: broker.rack ?? null,
    directory_id: broker.directoryId,
    damaged: encodeDamaged(broker.damaged),
    stopping: broker.stopping,
  });
}

export function decodeBroker(path: string, data: Uint8Array): BrokerRegistration {
  const fields = ZnodeFields.parse(path, data);
  fields.version(brokerVersion);
  return {
    endpoints: endpointsIn(fields),
    rack: fields.optionalText('rack'),
    directoryId: fields.text('directory_id'),
    damaged: decodeDamaged(fields.object('damaged')),
    stopping: fields.flag('stopping'),
  };
}

function endpointsIn(fields: ZnodeFields): readonly Endpoint[] {
  const protocols = fields.object('listener_security_protocol_map');
  return fields.texts('endpoints').map((uri) => {
    const endpoint = parseEndpointUri(uri) ?? fields.fail('an endpoint is not NAME://host:port');
    const named = protocols.text(endpoint.listener);
    const protocol = securityProtocols.find((known) => known === named) ?? fields.fail('an unknown security protocol');
    return { ...endpoint, protocol };
  });
}

function encodeDamaged(damaged: DamagedReplicas): Record<string, unknown> {
  return Object.fromEntries(
    [...damaged].map(([key, { endOffset, leaderEpoch, beyondRecoveryPoint }]) => {
      return [key, { end_offset: endOffset, leader_epoch: leaderEpoch, beyond_recovery_point: beyondRecoveryPoint }];
    }),
  );
}

function decodeDamaged(fields: ZnodeFields): DamagedReplicas {
  return new Map(
    fields.names().map((key) => {
      const each = fields.object(key);
      const endOffset = each.integer('end_offset', 0, Number.MAX_SAFE_INTEGER);
      const leaderEpoch = each.integer('leader_epoch', -1);
      return [key, { endOffset, leaderEpoch, beyondRecoveryPoint: each.flag('beyond_recovery_point') }];
    }),
  );
}

export function encodeDirectory(directoryId: string): Uint8Array {
  return encodeJson({ version: 1, directory_id: directoryId });
}

export function decodeDirectory(path: string, data: Uint8Array): string {
  return ZnodeFields.parse(path, data).text('directory_id');
}

/** `/brokers/topics/T`: identity and assignment. */
export interface TopicAssignment {
  readonly topicId: string;
  /** Replicas by partition number; the first of each is the preferred leader. */
  readonly replicas: readonly (readonly number[])[];
  /** Of a reassignment under way, by partition. */
  readonly adding: ReadonlyMap<number, readonly number[]>;
  readonly removing: ReadonlyMap<number, readonly number[]>;
}

const topicVersion = 3;

/** Kafka's notation of a UUID (KIP-516). */
export function isTopicId(text: string): boolean {
  return /^[A-Za-z0-9_-]{22}$/.test(text);
}

export function encodeTopic(topic: TopicAssignment): Uint8Array {
  return encodeJson({
    version: topicVersion,
    topic_id: topic.topicId,
    partitions: Object.fromEntries(topic.replicas.entries()),
    adding_replicas: Object.fromEntries(topic.adding),
    removing_replicas: Object.fromEntries(topic.removing),
  });
}

export function decodeTopic(path: string, data: Uint8Array): TopicAssignment {
  const fields = ZnodeFields.parse(path, data);
  fields.version(topicVersion);
  const topicId = fields.text('topic_id');
  if (!isTopicId(topicId)) fields.fail('topic_id is not 22 characters of base64url');
  const partitions = fields.object('partitions');
  const count = partitions.names().length;
  if (count === 0) fields.fail('there are no partitions');
  const replicas: (readonly number[])[] = [];
  for (let partition = 0; partition < count; partition++) {
    const list = partitions.integers(String(partition));
    if (list.length === 0 || new Set(list).size !== list.length) {
      fields.fail(`partition ${partition} has no replicas or one twice`);
    }
    replicas.push(list);
  }
  return {
    topicId,
    replicas,
    adding: replicasByPartition(fields, 'adding_replicas', count),
    removing: replicasByPartition(fields, 'removing_replicas', count),
  };
}

function replicasByPartition(
  fields: ZnodeFields,
  name: string,
  partitionCount: number,
): ReadonlyMap<number, readonly number[]> {
  const result = new Map<number, readonly number[]>();
  if (!fields.has(name)) return result;
  const object = fields.object(name);
  for (const key of object.names()) {
    const partition = Number(key);
    if (String(partition) !== key || !Number.isInteger(partition) || partition < 0 || partition >= partitionCount) {
      fields.fail(`${name} names partition ${key}, which there is not`);
    }
    result.set(partition, object.integers(key));
  }
  return result;
}

/** `/config/topics/T` and `/config/brokers/N`: overrides by name, values as Kafka spells them. */
export function encodeConfig(config: ReadonlyMap<string, string>): Uint8Array {
  return encodeJson({ version: 1, config: Object.fromEntries(config) });
}

export function decodeConfig(path: string, data: Uint8Array): ReadonlyMap<string, string> {
  const fields = ZnodeFields.parse(path, data);
  fields.version(1);
  const config = fields.object('config');
  return new Map(config.names().map((name) => [name, config.text(name)]));
}

/** `/controller`: who holds the office. */
export function encodeController(brokerId: number, sinceMs: number): Uint8Array {
  return encodeJson({ version: 2, brokerid: brokerId, timestamp: String(Math.floor(sinceMs)) });
}

export function decodeController(path: string, data: Uint8Array): number {
  return ZnodeFields.parse(path, data).integer('brokerid');
}

export function encodeControllerEpoch(epoch: number): Uint8Array {
  return Buffer.from(String(epoch), 'utf8');
}

export function decodeControllerEpoch(path: string, data: Uint8Array): number {
  const text = Buffer.from(data).toString('latin1');
  const epoch = Number(text);
  if (!/^[0-9]{1,10}$/.test(text) || epoch > 0x7fff_ffff) throw new ZnodeDecodeError(path, 'not a decimal epoch');
  return epoch;
}

export function encodeClusterId(id: string): Uint8Array {
  return encodeJson({ version: 1, id });
}

export function decodeClusterId(path: string, data: Uint8Array): string {
  const fields = ZnodeFields.parse(path, data);
  fields.version(1);
  const id = fields.text('id');
  return id === '' ? fields.fail('id is empty') : id;
}

/** `/admin/delete_topics/T`: names the incarnation of the topic that shall go, so that a new topic of the same name is not meant (row 18). */
export function encodeDeleteTopic(topicId: string): Uint8Array {
  return encodeJson({ version: 1, topic_id: topicId });
}

export function decodeDeleteTopic(path: string, data: Uint8Array): string {
  return ZnodeFields.parse(path, data).text('topic_id');
}

/** `/admin/deleted_topics/ID`: the proof, committed together with the deletion, without which no broker deletes a log (row 58). */
export function encodeDeletedTopic(name: string): Uint8Array {
  return encodeJson({ version: 1, name });
}

export function decodeDeletedTopic(path: string, data: Uint8Array): string {
  return ZnodeFields.parse(path, data).text('name');
}
