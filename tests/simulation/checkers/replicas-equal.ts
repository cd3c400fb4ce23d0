import type { FaultAtlas } from '../swarm/fault-atlas.ts';
import { require } from '../swarm/violation.ts';
import type { World } from '../swarm/world.ts';
import { type CompactionChecker, compactedTopics } from './compaction.ts';
import { readWholeLog } from './stored-log.ts';
import { describe, sameBatch, type Truth } from './truth.ts';

/**
 * L1, L2, L4, L5, L7 over the files of all running brokers. With `onlyCommitted` what is committed has to be the same wherever a replica knows it to be;
 * without, when all is quiet, every replica has to be the same to its last byte (but for the topic that comes and goes). Logs that the run harmed are left out: what nobody has read
 * since nobody can have noticed.
 */
export function compareReplicas(
  world: World,
  truth: Truth,
  atlas: FaultAtlas,
  compaction: CompactionChecker,
  { onlyCommitted = false }: { readonly onlyCommitted?: boolean } = {},
): void {
  for (const [id, broker] of world.brokers) {
    for (const { partition: replica } of broker.replicas.hosted) {
      if (replica === undefined || replica.log.state.kind !== 'open') continue;
      if (id === atlas.victim && atlas.harmed(replica.log.directory)) continue;
      // Taken away by a move of which its broker has not heard yet: it is behind, and nobody waits for it.
      if (!onlyCommitted && !world.control.replicasOf(replica.topic, replica.index).includes(id)) continue;
      const partition = truth.of(replica.topicId, replica.index, replica.topic);
      const { committed, name } = partition;
      // A cut under way shows in the files before the log's own numbers: it is looked at another time.
      if (onlyCommitted && replica.log.recoveryPoint === undefined) continue;
      if (compactedTopics.has(replica.topic)) {
        compaction.checkLog(world.node(`b${id}`), replica, partition);
        continue;
      }
      const batches = readWholeLog(world.node(`b${id}`), replica);
      const end = onlyCommitted || replica.topic === 'churn' ? replica.highWatermark : replica.log.logEndOffset;
      let index = 0;
      for (const batch of batches) {
        if (batch.endOffset > end) break;
        while ((committed[index]?.baseOffset ?? Number.POSITIVE_INFINITY) < batch.baseOffset) index++;
        const expected = committed[index];
        require(expected !== undefined && sameBatch(expected, batch), onlyCommitted ? 'L5' : 'L7', () =>
          `b${id} ${name}: ${describe(batch)} where ${expected && describe(expected)} is committed`);
      }
      if (onlyCommitted || replica.topic === 'churn') continue;
      const last = committed.at(-1);
      require(last === undefined ||
        (batches.at(-1)?.endOffset ?? 0) === last.endOffset ||
        replica.topic === 'churn', 'L7', () =>
        `b${id} ${name}: ends at ${batches.at(-1)?.endOffset}, committed is ${last?.endOffset}`);
    }
  }
}
