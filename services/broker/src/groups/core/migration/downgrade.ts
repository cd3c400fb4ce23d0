import { consumerProtocolType, encodeAssignment } from '@naru/kafka-protocol';
import type { GroupMetadataValue } from '../../records/group-metadata-value.ts';
import type { ConsumerGroup } from '../consumer/consumer-group.ts';
import type { ConsumerGroupSettings } from '../consumer/consumer-group-types.ts';
import { partitionsByName } from '../consumer/partition-set.ts';
import type { GroupSettings } from '../group-types.ts';
import { electProtocol, noBytes } from '../member.ts';

/**
 * A group whose coordinator assigns, of which only members of the classic protocol are left, as a classic group (KIP-848). Undefined: it stays what it is.
 *
 * The group's epoch is the generation, which no member can have had with other partitions, and it is a reservation: it has no leader, and whoever loads it, as
 * whoever wrote it, lets everybody join again. Members whose epoch is this generation go on to commit until then; those that lag behind are
 * fenced. A step of its own, taken as soon as the last other member is out: a coordinator that dies in between leaves a group that the next one downgrades.
 */
export function downgrade(
  { state, catalog }: ConsumerGroup,
  settings: GroupSettings,
  { migrationPolicy }: Pick<ConsumerGroupSettings, 'migrationPolicy'>,
  wallMs: number,
): GroupMetadataValue | undefined {
  const isAllowed = migrationPolicy === 'bidirectional' || migrationPolicy === 'downgrade';
  const { size } = state.members;
  if (!isAllowed || size === 0 || size > settings.membersMax) return undefined;
  const members = [...state.members.values()];
  const classic = members.flatMap(({ metadata }) => metadata.classic ?? []);
  const protocol = classic.length < size ? undefined : electProtocol(classic);
  if (protocol === undefined) return undefined;
  return {
    protocolType: consumerProtocolType,
    generation: state.epoch,
    protocol,
    leader: null,
    stateTimestampMs: wallMs,
    members: members.map(({ id, metadata, current }) => ({
      memberId: id,
      instanceId: metadata.instanceId,
      clientId: metadata.clientId,
      clientHost: metadata.clientHost,
      rebalanceTimeoutMs: metadata.rebalanceTimeoutMs,
      sessionTimeoutMs: metadata.classic?.sessionTimeoutMs ?? 0,
      subscription: metadata.classic?.protocols.find(({ name }) => name === protocol)?.metadata ?? noBytes,
      assignment: encodeAssignment({ partitions: partitionsByName(current.assigned, catalog), userData: null }, 0),
    })),
  };
}
