import { type Delay, SeededRandom } from '@naru/runtime/simulated';
import { type MemberStyle, memberStyles } from './group-members.ts';
import { ambushWeathers, drawSchedule, type Fault, type Weather } from './schedule.ts';

export interface TopicParameters {
  readonly name: string;
  readonly partitions: number;
  readonly replicas: number;
  readonly minInSync: number;
  /** False: Kafka's page-cache semantics; then no machine of this run loses power or unsynced bytes. */
  readonly flushBeforeAck: boolean;
}

export interface ProducerParameters {
  /** Each of its records is in the log at most once (C4). */
  readonly isIdempotent: boolean;
  readonly meanIntervalMs: number;
  /** Records sent at once. */
  readonly burst: number;
  readonly recordBytesMax: number;
  readonly settings: Readonly<Record<string, string | number>>;
}

/** Which protocol the members of the group speak; `mixed`: one drawn anew whenever a member is started, so that the group changes its own again and again. */
export const groupProtocols = ['classic', 'consumer', 'mixed'] as const;
export type GroupProtocol = (typeof groupProtocols)[number];

type ClientSettings = Readonly<Record<string, string | number>>;

/** One group that reads all topics. */
export interface GroupParameters {
  readonly protocol: GroupProtocol;
  /** By member. */
  readonly styles: readonly MemberStyle[];
  /** By member: whether it has a `group.instance.id`. */
  readonly statics: readonly boolean[];
  /** What a member does with what it polled takes so long. */
  readonly workMs: number;
  /** Of all members, and of those that speak one of the two protocols. */
  readonly settings: ClientSettings;
  readonly settingsOf: Readonly<Record<'classic' | 'consumer', ClientSettings>>;
}

/** Everything that is drawn before a run: the seed alone decides it ("swarm": each run is another kind of cluster in another kind of weather). */
export interface Parameters {
  readonly seed: number;
  readonly coordinators: number;
  readonly brokers: number;
  readonly topics: readonly TopicParameters[];
  readonly producers: readonly ProducerParameters[];
  /** Those that belong to no group. */
  readonly consumers: number;
  readonly group: GroupParameters | undefined;
  /** A compacted topic beside the others. */
  readonly hasTable: boolean;
  readonly brokerSettings: Readonly<Record<string, string | number | boolean>>;
  readonly coordinatorSettings: Readonly<Record<string, string | number | boolean>>;
  readonly networkDelay: Delay;
  readonly diskSyncDelay: Delay;
  readonly coordinatorSyncDelay: Delay;
  /** At most by so many parts in a million wall clocks are fast or slow. */
  readonly wallDriftMax: number;
  readonly weather: Weather;
  /** Milliseconds of virtual time in which faults happen. */
  readonly faultsMs: number;
  readonly faults: readonly Fault[];
}

export function drawParameters(seed: number): Parameters {
  const random = new SeededRandom(`parameters ${seed}`);
  const between = (min: number, max: number): number => min + random.nextInt(max - min + 1);
  const brokers = random.chance(0.6) ? 3 : between(4, 6);
  const coordinators = random.chance(0.75) ? 3 : 5;
  const pageCacheOnly = random.chance(0.15);
  const topics = Array.from({ length: between(1, 2) }, (_, index): TopicParameters => {
    const replicas = random.chance(0.7) ? 3 : between(1, Math.min(5, brokers));
    const minInSync = replicas < 3 ? between(1, replicas) : random.chance(0.8) ? 2 : between(1, replicas - 1);
    const flushBeforeAck = !(pageCacheOnly && random.chance(0.8));
    return { name: `topic-${index}`, partitions: between(1, 3), replicas, minInSync, flushBeforeAck };
  });
  const sessionTimeoutMs = between(1_000, 4_000);
  const faultsMs = between(12_000, 26_000);
  const clientTimeouts = {
    'request.timeout.ms': between(500, 4_000),
    'delivery.timeout.ms': between(5_000, 30_000),
    'retry.backoff.ms': between(10, 100),
    'retry.backoff.max.ms': between(100, 1_000),
    'reconnect.backoff.max.ms': between(100, 1_000),
    'socket.connection.setup.timeout.ms': between(200, 2_000),
  };
  const producers = Array.from(
    { length: between(3, 5) },
    (): ProducerParameters => ({
      isIdempotent: random.chance(0.7),
      meanIntervalMs: between(3, 16),
      burst: random.chance(0.7) ? 1 : between(2, 6),
      recordBytesMax: random.chance(0.8) ? between(0, 300) : between(300, 6_000),
      settings: {
        ...clientTimeouts,
        'linger.ms': random.chance(0.5) ? 0 : between(1, 20),
        'batch.size': random.chance(0.8) ? 16_384 : between(0, 2_000),
        'compression.type': random.chance(0.88) ? 'none' : pick(['gzip', 'snappy', 'lz4', 'zstd'], random),
      },
    }),
  );
  const group = random.chance(0.6) ? drawGroup(random.fork('group')) : undefined;
  const weather = isOfAmbushes(seed)
    ? drawAmbushes(random.fork('ambushes'), topics)
    : drawWeather(random.fork('weather'));
  const meanDelayMs = random.chance(weather === 'quorum' ? 0.3 : 0.7)
    ? 0.2 + 2 * random.nextFloat()
    : 5 + random.nextInt(20);
  const syncMs = random.chance(0.7) ? 0.3 + random.nextFloat() : 2 + random.nextInt(20);
  // What is under way to the quorum's disks is what a crash can tear apart.
  const isQuorumSlow = weather === 'slow-quorum' || (weather === 'quorum' && random.chance(0.5));
  const coordinatorSyncMs = isQuorumSlow ? between(30, 250) : syncMs;
  // Below what a round of votes takes nobody is ever elected.
  const voteMs = Math.ceil(4 * (coordinatorSyncMs + 2 * meanDelayMs));
  const electionTimeoutMs = Math.max(voteMs, weather === 'quorum' ? between(100, 400) : 600);
  return {
    seed,
    coordinators,
    brokers,
    topics,
    producers,
    consumers: group === undefined ? between(1, 2) : 1,
    group,
    hasTable: random.chance(0.4),
    brokerSettings: {
      'session.timeout.ms': sessionTimeoutMs,
      'replica.lag.time.max.ms': between(1_000, 4_000),
      'replica.fetch.wait.max.ms': between(50, 500),
      'replica.fetch.backoff.ms': between(50, 1_000),
      'replica.fetch.max.bytes': random.chance(0.7) ? 1_048_576 : between(1_000, 20_000),
      'log.memory.bytes': random.chance(0.7) ? 1_048_576 : between(0, 20_000),
      'log.flush.offset.checkpoint.interval.ms': between(500, 10_000),
      'log.index.interval.bytes': between(0, 4_096),
      'leader.imbalance.check.interval.seconds': between(3, 15),
      'controlled.shutdown.timeout.ms': between(500, 4_000),
      // Of topics that say nothing else: those of groups and the one that comes and goes.
      'min.insync.replicas': random.chance(0.8) ? 2 : 1,
      // Several segments to a log, and for groups something to clean.
      'log.roll.ms': random.chance(0.5) ? between(500, 5_000) : 604_800_000,
      'log.cleaner.backoff.ms': between(100, 1_000),
      'log.cleaner.min.cleanable.ratio': random.nextFloat(),
      'log.segment.delete.delay.ms': between(100, 2_000),
      'offsets.topic.num.partitions': between(1, 3),
      'group.initial.rebalance.delay.ms': between(0, 300),
      'group.min.session.timeout.ms': 1_000,
      ...(group === undefined || group.protocol === 'classic' ? {} : serverAssigned(random.fork('server-assigned'))),
      ...ambushSettings(weather, random.fork('ambush')),
    },
    coordinatorSettings: {
      'session.timeout.min.ms': 500,
      'election.timeout.ms': electionTimeoutMs,
      'heartbeat.interval.ms': Math.min(100, electionTimeoutMs >> 2),
      'session.disconnect.grace.ms': between(100, 1_000),
      'snapshot.threshold.entries': random.chance(0.5) ? between(16, 100) : 20_000,
      'watch.history.entries': random.chance(0.3) ? between(0, 20) : 65_536,
    },
    networkDelay: { minMs: meanDelayMs / 4, meanMs: meanDelayMs },
    diskSyncDelay: { minMs: syncMs / 4, meanMs: syncMs },
    coordinatorSyncDelay: { minMs: coordinatorSyncMs / 4, meanMs: coordinatorSyncMs },
    wallDriftMax: random.fork('wall drift').chance(0.5) ? 500 : 0,
    weather,
    faultsMs,
    faults: drawSchedule(random.fork('faults'), {
      durationMs: faultsMs,
      sessionTimeoutMs,
      mayLosePower: topics.every((topic) => topic.flushBeforeAck),
      mayDamage: topics.some((topic) => topic.minInSync >= 2 && topic.replicas >= 3),
      hasGroup: group !== undefined,
      weather,
    }),
  };
}

function drawWeather(random: SeededRandom): Weather {
  const draw = random.nextFloat();
  if (draw < 0.55) return 'mixed';
  if (draw < 0.7) return 'quorum';
  return draw < 0.85 ? 'slow-quorum' : 'damage';
}

/** Two seeds of 16: these weathers came later, and no other seed was to become another run. */
function isOfAmbushes(seed: number): boolean {
  return seed % 16 === 8 || seed % 16 === 9;
}

/** Damage above the recovery point is for logs that are synced, and that somebody else has. */
function drawAmbushes(random: SeededRandom, topics: readonly TopicParameters[]): Weather {
  const mayDamage = topics.some((topic) => topic.minInSync >= 2 && topic.replicas >= 3 && topic.flushBeforeAck);
  return pick(mayDamage ? ambushWeathers : ambushWeathers.filter((weather) => weather !== 'alone'), random);
}

/** What an ambush waits for has to come while it waits. */
function ambushSettings(weather: Weather, random: SeededRandom): Readonly<Record<string, number>> {
  if (weather === 'alone') return { 'log.flush.offset.checkpoint.interval.ms': 1_000 + random.nextInt(2_000) };
  if (weather !== 'overtaking') return {};
  return { 'replica.lag.time.max.ms': 500 + random.nextInt(1_000), 'controlled.shutdown.timeout.ms': 3_000 };
}

function drawGroup(random: SeededRandom): GroupParameters {
  const between = (min: number, max: number): number => min + random.nextInt(max - min + 1);
  const members = Array.from({ length: between(2, 3) });
  // They came later: runs that keep the classic protocol are the same as before.
  const later = random.fork('protocol');
  return {
    protocol: pick(groupProtocols, later),
    styles: members.map(() => pick(memberStyles, random)),
    statics: members.map(() => random.chance(0.25)),
    workMs: between(1, 30),
    settingsOf: {
      classic: {
        'partition.assignment.strategy': pick(['range', 'roundrobin', 'sticky', 'cooperative-sticky'], random),
        'session.timeout.ms': between(1_500, 5_000),
        'heartbeat.interval.ms': between(200, 500),
      },
      consumer: { 'group.protocol': 'consumer', 'group.remote.assignor': pick(['', 'uniform', 'range'], later) },
    },
    settings: { 'max.poll.interval.ms': between(5_000, 15_000), 'max.poll.records': between(50, 500) },
  };
}

/** What brokers tell members that speak KIP-848. */
function serverAssigned(random: SeededRandom): Readonly<Record<string, number>> {
  const between = (min: number, max: number): number => min + random.nextInt(max - min + 1);
  return {
    'group.consumer.min.session.timeout.ms': 1_000,
    'group.consumer.session.timeout.ms': between(1_500, 5_000),
    'group.consumer.min.heartbeat.interval.ms': 100,
    'group.consumer.heartbeat.interval.ms': between(200, 500),
  };
}

export function pick<Item>(items: readonly Item[], random: { nextInt(maxExclusive: number): number }): Item {
  return items[random.nextInt(items.length)] as Item;
}
