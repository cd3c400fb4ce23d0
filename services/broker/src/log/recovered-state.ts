import { readDamageMark, removeDamageMark, writeDamageMark } from './damage-mark.ts';
import type { PartitionLogOptions } from './partition-log.ts';
import { ProducerStateStore } from './producer-state-store.ts';
import { type RecoveredLog, recoverLog } from './recovery.ts';

export interface RecoveredState {
  readonly recovered: RecoveredLog;
  readonly producers: ProducerStateStore;
}

/** Everything that a log's directory says after a stop: batches, epochs, producers, damage, and the mark of it. Throws `DiskError`, `StorageError`. */
export async function recoverState(options: PartitionLogOptions): Promise<RecoveredState> {
  const { disk, directory, clock } = options;
  const producers = new ProducerStateStore(options);
  await producers.load();
  const found = await recoverLog({
    ...options,
    indexIntervalBytes: options.config['index.interval.bytes'],
    mark: await readDamageMark(disk, directory),
    nowMs: clock.wallMs(),
    observe: (header) => producers.observe(header, clock),
  });
  const met = await producers.open(found.segments, found.logEndOffset, clock);
  const recovered = { ...found, damage: found.damage ?? met };
  if (recovered.damage === undefined) await removeDamageMark(disk, directory);
  else await writeDamageMark(disk, directory, recovered.damage);
  return { recovered, producers };
}
