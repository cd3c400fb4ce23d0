import { groupBy, type Random } from '@naru/runtime';

/** A broker that can be given replicas. */
export interface AssignableBroker {
  readonly id: number;
  readonly rack: string | undefined;
}

export interface AssignmentRequest {
  readonly brokers: readonly AssignableBroker[];
  readonly partitions: number;
  readonly replicationFactor: number;
  /** Number of the first partition to assign: above 0 when partitions are added. */
  readonly firstPartition?: number;
  /** Go on as if the first partition of all had this leader, so that added partitions continue the pattern. Random when left out. */
  readonly startBroker?: number | undefined;
}

export type Assignment =
  | { readonly ok: true; readonly replicas: readonly (readonly number[])[] }
  | { readonly ok: false; readonly registered: number };

/**
 * Spreads replicas as Kafka does (AdminUtils.assignReplicasToBrokers):
 * - leaders go round the brokers from a random start;
 * - the other replicas of a partition follow at a distance that grows by one with each round, so that the followers of one broker's partitions are spread over
 *   all the others;
 * - with racks, neighbours in the ring are of different racks, and a partition uses a rack twice only when it has used all of them.
 *
 * Racks count only when every broker names one. Fails when there are fewer brokers than replicas.
 */
export function assignReplicas(request: AssignmentRequest, random: Random): Assignment {
  const { brokers, partitions, replicationFactor, firstPartition = 0 } = request;
  if (brokers.length < replicationFactor) return { ok: false, registered: brokers.length };
  const ring = ringOf(brokers);
  const start = startOf(ring, request.startBroker, random);
  let shift = request.startBroker === undefined ? random.nextInt(ring.length) : start;
  shift += Math.floor(firstPartition / ring.length);
  const replicas: (readonly number[])[] = [];
  for (let partition = firstPartition; partition < firstPartition + partitions; partition++) {
    if (partition > firstPartition && partition % ring.length === 0) shift += 1;
    replicas.push(replicasOf(ring, (partition + start) % ring.length, shift, replicationFactor));
  }
  return { ok: true, replicas };
}

function startOf(ring: readonly AssignableBroker[], startBroker: number | undefined, random: Random): number {
  if (startBroker === undefined) return random.nextInt(ring.length);
  return Math.max(
    0,
    ring.findIndex((broker) => broker.id === startBroker),
  );
}

/** Brokers by id, or with racks one of each rack in turn, as long as there are any. */
function ringOf(brokers: readonly AssignableBroker[]): readonly AssignableBroker[] {
  const sorted = [...brokers].sort((a, b) => a.id - b.id);
  if (sorted.some((broker) => broker.rack === undefined)) {
    return sorted.map((broker) => ({ id: broker.id, rack: undefined }));
  }
  const racks = [...groupBy(sorted, (broker) => broker.rack as string).entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  const ring: AssignableBroker[] = [];
  for (let turn = 0; ring.length < sorted.length; turn++) {
    for (const [, members] of racks) {
      const member = members[turn];
      if (member !== undefined) ring.push(member);
    }
  }
  return ring;
}

/** The leader at `first`, then brokers in ring order from a distance of `shift`, those of an unused rack before the others. */
function replicasOf(ring: readonly AssignableBroker[], first: number, shift: number, count: number): readonly number[] {
  const leader = ring[first] as AssignableBroker;
  const rest: AssignableBroker[] = [];
  for (let step = 0; step < ring.length - 1; step++) {
    const distance = 1 + ((shift + step) % (ring.length - 1));
    rest.push(ring[(first + distance) % ring.length] as AssignableBroker);
  }
  const chosen = [leader.id];
  const racksUsed = new Set(leader.rack === undefined ? [] : [leader.rack]);
  while (chosen.length < count) {
    const fresh = rest.findIndex((broker) => broker.rack === undefined || !racksUsed.has(broker.rack));
    if (fresh < 0) {
      // Every rack is used once: begin again with the brokers that are left.
      racksUsed.clear();
      continue;
    }
    const [next] = rest.splice(fresh, 1);
    chosen.push((next as AssignableBroker).id);
    if (next?.rack !== undefined) racksUsed.add(next.rack);
  }
  return chosen;
}
