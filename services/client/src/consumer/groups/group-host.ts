import type { KafkaError } from '../../errors.ts';
import type { TopicPartition } from '../../topic-partition.ts';
import type { CommittedOffset, OffsetToCommit } from './offset-commits.ts';

/**
 * Told of changes of the assignment, inside `poll` or iteration, which wait for what it returns. It may commit and seek. What it throws ends that poll
 * with this error; the rebalance goes on.
 */
export interface RebalanceListener {
  /** New partitions; where partitions may stay (cooperative, server-side) only those that were added. Seek here to begin elsewhere than at the committed offset. */
  onPartitionsAssigned?(partitions: readonly TopicPartition[]): void | Promise<void>;
  /** About to be given up; commits still count. Processed offsets are committed already with `enable.auto.commit`. */
  onPartitionsRevoked?(partitions: readonly TopicPartition[]): void | Promise<void>;
  /** Taken away already, as after too long a silence: commits fail. Left out: `onPartitionsRevoked` is called instead. */
  onPartitionsLost?(partitions: readonly TopicPartition[]): void | Promise<void>;
}

/** What a group needs of the consumer it belongs to. */
export interface GroupHost {
  assignment(): TopicPartition[];
  /** Another object whenever the partition was given up and taken again; undefined: it is not assigned. */
  holding(partition: TopicPartition): object | undefined;
  /** Partitions that stay keep their state; added ones wait for their committed offset. */
  replaceAssignment(partitions: readonly TopicPartition[], why: 'assigned' | 'revoked' | 'lost'): void;
  /** Where the application stands, of partitions whose offset is not committed yet. */
  processed(partitions: readonly TopicPartition[]): OffsetToCommit[];
  onCommitted(offsets: readonly OffsetToCommit[]): void;
  /** Resolves when nobody works on records of these partitions any more. */
  drain(partitions: readonly TopicPartition[]): Promise<void>;
  /** Partitions that wait for their committed offset. */
  unplaced(): TopicPartition[];
  place(offsets: readonly CommittedOffset[]): void;
  /** Something changed that poll must look at. */
  wake(): void;
}

/** How a consumer stands with its group. */
export interface ConsumerHealth {
  /**
   * `idle`: no group or nothing subscribed. `rebalancing`: it joins, or waits for its coordinator. `lost`: the group went on without it; the next poll
   * joins again. `failed`: the error below ended it.
   */
  readonly status: 'idle' | 'stable' | 'rebalancing' | 'lost' | 'failed' | 'closed';
  readonly memberId: string;
  /** With `group.protocol=consumer` the member's epoch. */
  readonly generation: number;
  /** Broker id; -1 unknown. */
  readonly coordinator: number;
  readonly assignedPartitions: number;
  /** Since the application was last seen in poll. */
  readonly sincePollMs: number;
  /** Since the coordinator is known to have heard of this member; undefined outside of the group. */
  readonly sinceHeartbeatMs: number | undefined;
  readonly error: KafkaError | undefined;
}

/** Who the member is; what it writes carries this, so that the coordinator can tell an old owner from the current one (row 49). */
export interface MemberIdentity {
  readonly memberId: string;
  readonly groupInstanceId: string;
  /** -1: not in the group. With `group.protocol=consumer` the member's epoch. */
  readonly generation: number;
  /** Grows when it is out: who comes back, be it as the same member into the same generation, has begun anew at what was committed. */
  readonly life: number;
}

/** The member's standing with its coordinator, under either protocol. */
export interface GroupMembership {
  readonly identity: MemberIdentity;
  /** It was in the group and is not any more; `forgetLoss` when what it held has been given up. */
  readonly isLost: boolean;
  /** Set when another instance took over the `group.instance.id`: this one must never join again. */
  readonly fatal: KafkaError | undefined;
  /** Milliseconds since the coordinator is known to have heard of this member. */
  readonly silentMs: number;
  /**
   * Ends the membership when the coordinator must have ended it. For callers who are about to act on it: a process that was frozen may run them before its
   * timers.
   */
  checkSilence(): void;
  forgetLoss(): void;
  /** What the member held belongs to others from now on. */
  lose(reason: string): void;
  /** What an answer to a commit or fetch of offsets says about the membership. */
  onGroupError(code: number, identity: MemberIdentity): void;
  /** Ends a join that is under way. Heartbeats go on: what the member holds is its own until it has given it up. */
  stopJoining(reason: KafkaError): void;
  leave(reason: string, timeoutMs?: number): Promise<void>;
  /** Nothing more is sent. */
  close(reason: KafkaError): void;
}

/** The life of a member from subscribe to unsubscribe, one rebalance after the other. */
export interface MemberLife {
  readonly membership: GroupMembership;
  readonly isStable: boolean;
  /** Gives up what must be given up, joins, takes what is assigned, and waits until something changes. */
  round(): Promise<void>;
  subscriptionChanged(reason: string): void;
}
