import { type Admin, type Client, KafkaError } from '@naru/client';
import type { SeededRandom } from '@naru/runtime/simulated';
import { pick } from './parameters.ts';
import type { World } from './world.ts';

/** What an administrator asks for without waiting for the last to be done; refused and unanswered requests are part of it. */
export class Placement {
  readonly #world: World;
  readonly #client: Client;
  failure: unknown;

  constructor(world: World, client: Client) {
    this.#world = world;
    this.#client = client;
  }

  /** Moves a partition of the workload to other brokers, as many as it has; now and then what is under way is cancelled, or only the order changes. */
  movePartition(random: SeededRandom): string {
    const { control, brokerIds, parameters } = this.#world;
    const { name: topic, partitions, replicas: count } = pick(parameters.topics, random);
    const partition = random.nextInt(partitions);
    const others = shuffled(brokerIds, random).slice(0, count);
    const isCancelled = control.isMoving(topic, partition) && random.chance(0.3);
    const replicas = isCancelled ? null : others;
    this.#ask((admin) => admin.alterPartitionReassignments([{ topic, partition, replicas }]));
    return `${topic}-${partition} ${replicas === null ? 'stays where it was' : `to ${replicas}`}`;
  }

  /**
   * Of a topic of the workload: `min.insync.replicas` goes up by one or back, and what may change without a record being lost. As long as brokers have not heard of it
   * they promise what the topic was created with, no less.
   */
  alterConfig(random: SeededRandom): string {
    const { name, minInSync, replicas } = pick(this.#world.parameters.topics, random);
    const [key, value] = pick(
      [
        ['min.insync.replicas', Math.min(replicas, minInSync + random.nextInt(2))],
        ['segment.ms', 300 + random.nextInt(5_000)],
        ['retention.ms', 3_600_000 + random.nextInt(3_600_000)],
      ] as const,
      random,
    );
    const resource = { type: 'topic', name } as const;
    this.#ask((admin) => admin.incrementalAlterConfigs([{ resource, set: { [key]: String(value) } }]));
    return `${name} ${key}=${value}`;
  }

  electPreferred(): void {
    this.#ask((admin) => admin.electLeaders('preferred'));
  }

  #ask(what: (admin: Admin) => Promise<unknown>): void {
    const admin = this.#client.admin({ 'default.api.timeout.ms': 3_000, 'request.timeout.ms': 1_000 });
    what(admin)
      .catch((error: unknown) => {
        if (!(error instanceof KafkaError)) this.failure ??= error;
      })
      .finally(() => void admin.close());
  }
}

function shuffled<Item>(items: readonly Item[], random: SeededRandom): readonly Item[] {
  const left = [...items];
  const result: Item[] = [];
  while (left.length > 0) result.push(left.splice(random.nextInt(left.length), 1)[0] as Item);
  return result;
}
