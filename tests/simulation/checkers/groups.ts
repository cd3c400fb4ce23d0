import type { Broker } from '@naru/broker';
import { batchesOf, decodeRecords } from '@naru/record';
import type { Simulation } from '@naru/runtime/simulated';
import type { GroupShard } from '../../../services/broker/src/groups/coordinator/group-shard.ts';
import { CommittedState } from '../../../services/broker/src/groups/core/committed-state.ts';
import { decodeRecord } from '../../../services/broker/src/groups/records/group-record.ts';
import { require } from '../swarm/violation.ts';

const readBytes = 1024 * 1024;

/** G8: what a coordinator knows is what its log says up to the high watermark. Returns how many groups were compared. */
export async function checkGroupsAreTheirLogs(sim: Simulation, brokers: readonly Broker[]): Promise<number> {
  let compared = 0;
  for (const { groups } of brokers) {
    for (const shard of groups.shards) {
      // The state moves at the end of the turn in which the high watermark did: it is looked at until both stand still.
      for (let attempt = 0; ; attempt++) {
        const { highWatermark } = shard.partition;
        const replayed = await replay(shard, highWatermark);
        if (!shard.isActive) break;
        if (shard.partition.highWatermark !== highWatermark) continue;
        const [live, log] = [picture(shard.committed), picture(replayed)];
        if (live !== log && attempt < 10) {
          // A log that is read from memory takes no time, and no turn would ever end.
          await new Promise<void>((resolve) => sim.at(1, resolve));
          continue;
        }
        require(live === log, 'G8', () =>
          `partition ${shard.partition.index}: ${live} is not what the log says: ${log}`);
        compared += replayed.groupIds.length;
        break;
      }
    }
  }
  return compared;
}

async function replay({ partition }: GroupShard, endOffset: number): Promise<CommittedState> {
  const state = new CommittedState();
  let offset = partition.logStartOffset;
  while (offset < endOffset) {
    const result = await partition.read(offset, readBytes);
    if (result.kind !== 'batches' || result.nextOffset <= offset) return state;
    for (const batch of result.records.flatMap((records) => [...batchesOf(records)])) {
      for (const { key, value } of decodeRecords(batch.bytes)) {
        const record = key === null ? undefined : decodeRecord(key, value);
        if (record !== undefined) state.apply(record);
      }
    }
    offset = result.nextOffset;
  }
  return state;
}

function picture(state: CommittedState): string {
  const ids = [...new Set([...state.groupIds, ...state.groupsWithOffsets])].sort();
  const bytesAsHex = (_: string, value: unknown): unknown =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
  return JSON.stringify(
    ids.map((id) => {
      const offsets = [...state.allOffsetsOf(id)].sort((a, b) =>
        a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
      );
      // A compacted log names the members in another order.
      const consumer = state.consumerGroups
        .get(id)
        ?.records(id)
        .map((record) => JSON.stringify(record, bytesAsHex));
      return { id, metadata: state.groups.get(id), consumer: consumer?.sort(), offsets };
    }),
    bytesAsHex,
  );
}
