import type { GroupMetadataValue } from '../records/group-metadata-value.ts';
import type { Joined, Synced } from './group-types.ts';
import { joinedMembers, type Member, memberValue, noBytes } from './member.ts';
import type { Membership } from './membership.ts';

/** One generation of a classic group: what its members have in common, and how the log and they are told of it. */
export class Generation {
  number = 0;
  protocolType = '';
  /** Undefined in an empty group. */
  protocol: string | undefined;
  leader: string | undefined;

  /** `assignments` undefined: a reservation, which has no leader either. */
  value(
    members: Membership,
    assignments: ReadonlyMap<string, Uint8Array> | undefined,
    stateTimestampMs: number,
  ): GroupMetadataValue {
    const protocol = this.protocol ?? null;
    return {
      protocolType: this.protocolType,
      generation: this.number,
      protocol,
      leader: assignments === undefined ? null : (this.leader ?? null),
      stateTimestampMs,
      members: [...members].map((one) => memberValue(one, protocol, assignments?.get(one.id) ?? noBytes)),
    };
  }

  joined(member: Member, members: Membership, isStable: boolean): Joined {
    const protocol = this.protocol ?? '';
    const isLeader = member.id === this.leader;
    return {
      ok: true,
      memberId: member.id,
      generation: this.number,
      protocolType: this.protocolType,
      protocol,
      leader: this.leader ?? '',
      skipAssignment: isLeader && isStable,
      members: isLeader ? joinedMembers(members, protocol) : [],
    };
  }

  synced(member: Member): Synced {
    const { protocolType, protocol = '' } = this;
    return { ok: true, protocolType, protocol, assignment: member.assignment };
  }
}
