import type { KafkaError } from '../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';

/** As Kafka names them. */
export type GroupState =
  | 'Empty'
  | 'PreparingRebalance'
  | 'CompletingRebalance'
  | 'Stable'
  | 'Dead'
  | 'Assigning'
  | 'Reconciling';

/** A group as it is listed. */
export interface GroupListing {
  readonly groupId: string;
  /** "consumer" for consumers; empty for a group that has nothing but offsets. */
  readonly protocolType: string;
  readonly state: GroupState;
  /** "Classic" or "Consumer". */
  readonly type: string;
}

/** A group with its members. */
export interface GroupDescription {
  readonly groupId: string;
  /** Set when the group could not be described; the rest then says nothing. */
  readonly error: KafkaError | undefined;
  readonly state: GroupState;
  readonly protocolType: string;
  /** The assignor; empty unless the group is stable. */
  readonly protocol: string;
  readonly generation: number;
  /** Of a group whose coordinator assigns (KIP-848); left out for classic ones. */
  readonly groupEpoch?: number | undefined;
  readonly targetAssignmentEpoch?: number | undefined;
  readonly coordinator: { readonly id: number; readonly host: string; readonly port: number };
  readonly members: readonly GroupMemberDescription[];
}

/** A member, and what it reads. */
export interface GroupMemberDescription {
  readonly memberId: string;
  readonly groupInstanceId: string | undefined;
  readonly clientId: string;
  /** "/" and the address. */
  readonly clientHost: string;
  /** Empty unless the group is stable, and for members that speak no consumer protocol. */
  readonly assignment: readonly TopicPartition[];
  /** Of a member whose coordinator assigns (KIP-848): how far it is, and where it is going; left out for classic ones. */
  readonly memberEpoch?: number | undefined;
  readonly targetAssignment?: readonly TopicPartition[] | undefined;
  /** As the member's protocol has it. */
  readonly memberMetadata: Uint8Array;
  readonly memberAssignment: Uint8Array;
}

/** What a group has committed for a partition. */
export interface GroupOffset extends TopicPartition {
  /** The next one to read; undefined when none is committed. */
  readonly offset: bigint | undefined;
  /** -1 unknown. */
  readonly leaderEpoch: number;
  readonly metadata: string;
}

/** An offset to commit on behalf of a group. */
export interface GroupOffsetChange extends TopicPartition {
  readonly offset: bigint;
  readonly leaderEpoch?: number | undefined;
  readonly metadata?: string | undefined;
}

/** How one partition fared. */
export interface GroupOffsetOutcome extends TopicPartition {
  readonly error: KafkaError | undefined;
}

/** How a call went for one group; `error` undefined: it is done. */
export interface GroupOutcome {
  readonly groupId: string;
  readonly error: KafkaError | undefined;
}

/** One of the two names it: a static member by its instance id, whoever holds it, or any member by its id. */
export interface MemberToRemove {
  readonly memberId?: string | undefined;
  readonly groupInstanceId?: string | undefined;
}

/** How a call went for one member; `error` undefined: it is done. */
export interface MemberOutcome {
  readonly memberId: string;
  readonly groupInstanceId: string | undefined;
  readonly error: KafkaError | undefined;
}
