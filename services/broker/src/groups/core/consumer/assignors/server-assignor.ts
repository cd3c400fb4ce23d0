import type { PartitionSet } from '../partition-set.ts';

export interface AssignedMember {
  readonly memberId: string;
  /** Null: a dynamic member. */
  readonly instanceId: string | null;
  /** Ids of the topics it subscribes to that exist. */
  readonly topicIds: ReadonlySet<string>;
  /** Of the last target assignment. */
  readonly target: PartitionSet;
}

/** Says what every member should have. Equal input, equal output. */
export interface ServerAssignor {
  readonly name: string;
  /** `partitions`: how many each topic has, by id. The result has an entry for every member. */
  assign(
    members: readonly AssignedMember[],
    partitions: ReadonlyMap<string, number>,
  ): ReadonlyMap<string, PartitionSet>;
}
