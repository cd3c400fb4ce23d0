import { batchLayout } from '@naru/record';
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

export interface Flippable {
  readonly path: string;
  readonly byte: number;
}

/**
 * Where disks may be damaged so that the promises can still be kept: on one broker of a run, in logs that at least one other in-sync replica has whole
 * (`min.insync.replicas` ≥ 2), and below the recovery point. Above it a bad last batch looks like a torn tail: nothing that one node
 * alone can see tells them apart, and the log may be the only one left; so there only a bit flips, and not in the last batch.
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

  /** A file that may lose its end, and how much of it must stay. */
  damageable(world: World, random: SeededRandom): DamageableFile | undefined {
    const found = [...this.#files(world)].flatMap(({ path, bytes, recoveryPoint, committed }) => {
      const safeBytes = bytesBelow(bytes, Math.min(recoveryPoint, committed));
      return safeBytes === 0 ? [] : [{ path, safeBytes }];
    });
    return found.length === 0 ? undefined : pick(found, random);
  }

  /**
   * A byte that may go bad. Above the recovery point only what a CRC covers, and with a synced batch behind it: damage there looks like a hole in what was
   * never synced, and must be outvoted by another member of ISR or ELR (row 57).
   */
  flippable(world: World, random: SeededRandom): Flippable | undefined {
    const below = this.damageable(world, random);
    const above = this.#aboveRecoveryPoint(world, random);
    if (above.length > 0 && (below === undefined || random.chance(0.5))) return pick(above, random);
    return below && { path: below.path, byte: random.nextInt(below.safeBytes) };
  }

  /** One that looks like a hole in what was never synced. */
  flippableAbove(world: World, random: SeededRandom): Flippable | undefined {
    const above = this.#aboveRecoveryPoint(world, random);
    return above.length === 0 ? undefined : pick(above, random);
  }

  #aboveRecoveryPoint(world: World, random: SeededRandom): readonly Flippable[] {
    return [...this.#files(world)].flatMap(({ path, bytes, recoveryPoint, committed }) => {
      const at = bytesBelow(bytes, recoveryPoint);
      const batches = [...batchesIn(bytes.subarray(at))].filter(({ endOffset }) => endOffset <= committed);
      let start = at;
      return batches.slice(0, -1).map((batch) => {
        const from = start + batchLayout.attributes;
        start += batch.bytes.length;
        return { path, byte: from + random.nextInt(start - from) };
      });
    });
  }

  *#files(world: World) {
    const { disk } = world.node(this.host);
    if (!disk.files().has(checkpoint)) return;
    for (const line of Buffer.from(disk.contentOf(checkpoint)).toString().split('\n')) {
      const [topic, partition, recoveryPoint] = line.split(' ');
      const parameters = world.parameters.topics.find((each) => each.name === topic);
      if (recoveryPoint === undefined || parameters === undefined) continue;
      if (parameters.minInSync < 2 || parameters.replicas < 3) continue;
      const committed = this.#committed(world, topic as string, Number(partition));
      for (const path of segmentPaths(disk, `/data/${topic}-${partition}`)) {
        yield { path, bytes: disk.contentOf(path), recoveryPoint: Number(recoveryPoint), committed };
      }
    }
  }

  /** What its broker knows to be committed, on its own disk, too: the checkers have read it. After that they read only what is newer. */
  #committed(world: World, topic: string, partition: number): number {
    const found = world.brokers.get(this.victim)?.replicas.find(topic, '', partition);
    return found?.kind === 'partition' ? Math.min(found.partition.highWatermark, found.partition.log.flushedOffset) : 0;
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
