/** What the members of the group did and were told, in the order of one member's own life. Times are of the machine's monotonic clock, milliseconds. */
export type MemberEvent =
  /** Partitions that it did not have before; an eager member is given all of its partitions anew. */
  | { readonly kind: 'assigned'; readonly partitions: readonly number[]; readonly atMs: number }
  /** `isLost`: others may have had them already. */
  | {
      readonly kind: 'given-up';
      readonly partitions: readonly number[];
      readonly isLost: boolean;
      readonly atMs: number;
    }
  /** Records `from` to `to` (exclusive), one after the other. Written down before their commit is asked for. */
  | {
      readonly kind: 'processed';
      readonly partition: number;
      readonly from: number;
      readonly to: number;
      readonly atMs: number;
    }
  /** Acknowledged when `isAcked`; otherwise it may have taken effect or not. */
  | {
      readonly kind: 'commit';
      readonly partition: number;
      readonly offset: number;
      readonly isAcked: boolean;
      readonly invokedMs: number;
      readonly endedMs: number;
      readonly error: string | undefined;
    };

/** By the name of the member; one that was killed and started again has another name. */
export type MemberHistories = ReadonlyMap<string, readonly MemberEvent[]>;

/** A member's file: one event a line; the last line of a member that was killed may be half a line. */
export function parseMember(text: string): MemberEvent[] {
  const lines = text.split('\n');
  lines.pop();
  return lines.map((line) => JSON.parse(line) as MemberEvent);
}
