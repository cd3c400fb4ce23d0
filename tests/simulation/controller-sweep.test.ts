import { afterAll, expect, it } from 'vitest';
import type { MetadataImage } from '../../services/broker/src/cluster/metadata-image.ts';
import type { PartitionState } from '../../services/broker/src/cluster/partition-state.ts';
import { createTopics } from '../../services/broker/src/requests/create-topics.ts';
import { deleteTopics } from '../../services/broker/src/requests/delete-topics.ts';
import { ControllerCluster, checkStates, isLed, newTopic } from './controller-cluster.ts';

/** Faults of one run. Fewer seeds here than in the chaos runs: this proves the machinery, they hunt. */
const rounds = 12;

let elections = 0;
let answers = 0;

afterAll(() => {
  expect(elections, 'vacuity: elections happened').toBeGreaterThan(30);
  expect(answers, 'vacuity: requests succeeded').toBeGreaterThan(20);
});

type Fault = 'kill' | 'bounce' | 'wipe' | 'pause' | 'isolate' | 'reset' | 'leave' | 'kill-coordinator';
const faults: readonly Fault[] = ['kill', 'bounce', 'wipe', 'pause', 'isolate', 'reset', 'leave', 'kill-coordinator'];

/** What no observer may ever see, in zxid order, whichever broker looks. */
class StateChecker {
  readonly #last = new Map<
    string,
    { readonly zxid: number; readonly leaderEpoch: number; readonly controllerEpoch: number; readonly leader: number }
  >();
  readonly #leaderOf = new Map<string, number>();
  #image: MetadataImage | undefined;
  elections = 0;

  check(image: MetadataImage): void {
    if (this.#image === image) return;
    this.#image = image;
    checkStates(image);
    for (const topic of image.topics.values()) {
      for (const [partition, { state, stateZxid }] of topic.partitions.entries()) {
        if (state === undefined) continue;
        const key = `${topic.id}-${partition}`;
        const last = this.#last.get(key);
        // Another broker may be behind.
        if (last !== undefined && stateZxid <= last.zxid) continue;
        const at = `${topic.name}-${partition} at ${stateZxid}`;
        if (last !== undefined) {
          expect(state.leaderEpoch, `${at}: the leader epoch went back (R5)`).toBeGreaterThanOrEqual(last.leaderEpoch);
          expect(state.controllerEpoch, `${at}: an older controller wrote (Z13)`).toBeGreaterThanOrEqual(
            last.controllerEpoch,
          );
          if (state.leader !== last.leader) this.elections += 1;
        }
        const known = this.#leaderOf.get(`${key}@${state.leaderEpoch}`);
        if (known !== undefined) expect(state.leader, `${at}: two leaders in one epoch (R5)`).toBe(known);
        this.#leaderOf.set(`${key}@${state.leaderEpoch}`, state.leader);
        this.#last.set(key, {
          zxid: stateZxid,
          leaderEpoch: state.leaderEpoch,
          controllerEpoch: state.controllerEpoch,
          leader: state.leader,
        });
      }
    }
  }
}

function inject(cluster: ControllerCluster, fault: Fault): void {
  const { sim } = cluster;
  const up = cluster.running.map((broker) => broker.id).filter((id) => !cluster.host(id).paused);
  const lastsMs = 200 + sim.random.nextInt(4_000);
  if (fault === 'kill-coordinator') {
    const leader = cluster.coordinatorLeader;
    if (leader === 0 || cluster.coordinatorsUp < 3) return;
    cluster.crashCoordinator(leader);
    sim.at(lastsMs, () => cluster.restartCoordinatorSoon(leader));
    return;
  }
  const victim = up[sim.random.nextInt(Math.max(1, up.length))];
  if (victim === undefined || up.length < 2) return;
  switch (fault) {
    case 'kill':
    case 'wipe':
    case 'bounce':
      cluster.crashBroker(victim);
      sim.at(fault === 'bounce' ? 20 : lastsMs, () => cluster.restartBrokerSoon(victim, fault === 'wipe'));
      return;
    case 'pause':
      cluster.host(victim).pause();
      sim.at(2 * lastsMs, () => cluster.resumeBroker(victim));
      return;
    case 'isolate':
      sim.network.isolate(`b${victim}`);
      sim.at(2 * lastsMs, () => sim.network.healAll());
      return;
    case 'leave':
      cluster.leave(victim, lastsMs);
      return;
    case 'reset':
      sim.network.resetConnections(`b${victim}`);
      return;
  }
}

type Fate = 'there' | 'gone' | 'unknown';

/** Creates a topic, and now and then deletes it again; `fates` keeps what was acknowledged. */
async function changeTopics(
  cluster: ControllerCluster,
  brokerId: number,
  round: number,
  fates: Map<string, Fate>,
): Promise<void> {
  const name = `topic-${round}`;
  fates.set(name, 'unknown');
  const topics = [newTopic(name, { numPartitions: 4, replicationFactor: 3 })];
  const created = await createTopics(cluster.broker(brokerId).admin, {
    topics,
    timeoutMs: 20_000,
    validateOnly: false,
  });
  if (created.topics[0]?.errorCode !== 0) return;
  fates.set(name, 'there');
  if (round % 3 !== 0 || !cluster.brokers.has(brokerId)) return;
  fates.set(name, 'unknown');
  const deleted = await deleteTopics(cluster.broker(brokerId).admin, { names: [name], timeoutMs: 20_000 });
  if (deleted.topics[0]?.errorCode === 0) fates.set(name, 'gone');
}

function checkFates(image: MetadataImage, fates: ReadonlyMap<string, Fate>): void {
  for (const [name, fate] of fates) {
    if (fate === 'there') expect(image.topics.has(name), `${name} was created`).toBe(true);
    if (fate === 'gone') expect(image.topics.has(name), `${name} was deleted`).toBe(false);
  }
  answers += [...fates.values()].filter((fate) => fate !== 'unknown').length;
}

it.each(['s1', 's2', 's3', 's4', 's5', 's6'])(
  'seed %s: through faults of every kind the states stay sound, and all partitions are led in the end',
  async (seed) => {
    const cluster = await ControllerCluster.start(`controller sweep ${seed}`, 4);
    const { sim } = cluster;
    const checker = new StateChecker();
    sim.afterEvent(() => {
      for (const broker of cluster.running) checker.check(broker.image);
    });
    const fates = new Map<string, Fate>();
    for (let round = 0; round < rounds; round++) {
      const asked = cluster.running[sim.random.nextInt(cluster.running.length)];
      if (asked !== undefined) changeTopics(cluster, asked.id, round, fates).catch((error) => cluster.fail(error));
      inject(cluster, faults[sim.random.nextInt(faults.length)] as Fault);
      for (let step = 0; step < 5; step++) {
        await sim.runFor(300);
        for (const each of cluster.running) each.admitFollowers();
      }
    }
    await sim.runFor(15_000);
    const image = await cluster.settle((i) => i.brokers.size === 4 && allLedOrLost(i));
    cluster.expectNoFailure();
    checkFates(image, fates);
    elections += checker.elections;
  },
);

/** A wiped disk can take the last complete copy with it; such a partition must stay offline. */
function allLedOrLost(image: MetadataImage): boolean {
  return [...image.topics.values()].every((topic) => {
    return isLed(image, topic) || topic.partitions.some(({ state }) => state !== undefined && isLost(image, state));
  });
}

function isLost(image: MetadataImage, state: PartitionState): boolean {
  return [...state.isr, ...state.elr].every(
    ({ brokerId, brokerEpoch }) => (image.directories.get(brokerId)?.since ?? 0) > brokerEpoch,
  );
}
