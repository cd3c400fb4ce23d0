import { batchesOf, decodeRecords } from '@naru/record';
import type { SeededRandom, SimulatedNode } from '@naru/runtime/simulated';
import { require } from '../swarm/violation.ts';
import { segmentPaths } from './stored-log.ts';
import type { Replica } from './truth.ts';

/** Offsets, and times, that are asked for. */
const samples = 4;

interface Stamp {
  readonly offset: number;
  readonly timestampMs: number;
}

/** Of the records of batches: a batch is the same on all replicas, and is decoded once. */
export type Stamps = Map<string, readonly Stamp[]>;

/** L8: what the log finds by its indexes is what a look at every record finds. For times without faults. */
export async function checkIndexes(
  node: SimulatedNode,
  { log, topic, index }: Replica,
  stamps: Stamps,
  random: SeededRandom,
): Promise<void> {
  const name = `${node.name} ${topic}-${index}`;
  const batches = segmentPaths(node.disk, log.directory).flatMap((path) => [...batchesOf(node.disk.contentOf(path))]);
  const records = batches.flatMap(({ header, bytes }) => {
    const key = `${topic}-${index} ${header.baseOffset} ${header.crc}`;
    let found = stamps.get(key);
    if (found === undefined) {
      found = Array.from(decodeRecords(bytes), ({ offset, timestampMs }) => ({ offset, timestampMs }));
      stamps.set(key, found);
    }
    return found;
  });
  if (records.length === 0) return;
  for (let sample = 0; sample < samples; sample++) {
    const { offset, timestampMs } = records[random.nextInt(records.length)] as Stamp;
    const expected = batches.find(({ header }) => header.lastOffset >= offset)?.header.baseOffset;
    const result = await log.read(offset, 1, log.logEndOffset);
    const [bytes] = result.kind === 'batches' ? result.records : [];
    const found = bytes === undefined ? undefined : [...batchesOf(bytes)][0]?.header.baseOffset;
    require(found === expected, 'L8', () =>
      `${name}: ${offset} is looked for in the batch at ${found}, it is in ${expected}`);
    const first = records.find((record) => record.timestampMs >= timestampMs)?.offset;
    const answer = await log.offsetForTimestamp(timestampMs);
    require(answer?.offset === first, 'L8', () =>
      `${name}: the first record from ${timestampMs} on is at ${first}, the index says ${answer?.offset}`);
  }
}
