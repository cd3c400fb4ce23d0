import type { SeededRandom } from '@naru/runtime/simulated';
import { segmentPaths } from '../checkers/stored-log.ts';
import { batchesIn } from '../checkers/truth.ts';
import { pick } from './parameters.ts';
import type { World } from './world.ts';

export interface DamageableFile {
  readonly path: string;
  /** Damage within so many bytes from the start can be told from a torn tail. */
  readonly safeBytes: number;
}

/**
 * Where disks may be damaged so that the promises can still be kept: on one broker of a run, in logs that at least one other in-sync replica has whole
 * (`min.insync.replicas` ≥ 2), and below the recovery point. Above it a bad last batch looks like a torn tail: nothing that one node
 * alone can see tells them apart, and the log may be the only one left.
 */
export class FaultAtlas {
  readonly victim: number;
  /** Paths that were harmed so far. */
  readonly damaged = new Set<string>();

  constructor(victim: number) {
    this.victim = victim;
  }

  get host(): string {
    return `b${this.victim}`;
  }

  damageable(world: World, random: SeededRandom): DamageableFile | undefined {
    const { disk } = world.node(this.host);
    const files = disk.files();
    if (!files.has(checkpoint)) return undefined;
    const found: DamageableFile[] = [];
    for (const line of Buffer.from(disk.contentOf(checkpoint)).toString().split('\n')) {
      const [topic, partition, recoveryPoint] = line.split(' ');
      const parameters = world.parameters.topics.find((each) => each.name === topic);
      if (recoveryPoint === undefined || parameters === undefined) continue;
      if (parameters.minInSync < 2 || parameters.replicas < 3) continue;
      const bound = Math.min(Number(recoveryPoint), this.#highWatermark(world, topic as string, Number(partition)));
      for (const path of segmentPaths(disk, `/data/${topic}-${partition}`)) {
        const safeBytes = bytesBelow(disk.contentOf(path), bound);
        if (safeBytes > 0) found.push({ path, safeBytes });
      }
    }
    return found.length === 0 ? undefined : pick(found, random);
  }

  /** What its broker knows to be committed: the checkers have read it. After that they read only what is newer. */
  #highWatermark(world: World, topic: string, partition: number): number {
    const found = world.brokers.get(this.victim)?.replicas.find(topic, '', partition);
    return found?.kind === 'partition' ? found.partition.highWatermark : 0;
  }

  /** Whether the log in this directory was harmed in this run. */
  harmed(directory: string): boolean {
    const prefix = directory.startsWith('/') ? `${directory}/` : `/${directory}/`;
    return [...this.damaged].some((path) => path.startsWith(prefix));
  }
}

const checkpoint = '/data/recovery-point-offset-checkpoint';

function bytesBelow(bytes: Uint8Array, recoveryPoint: number): number {
  let at = 0;
  for (const batch of batchesIn(bytes)) {
    if (batch.endOffset > recoveryPoint) break;
    at += batch.bytes.length;
  }
  return at;
}
