import { transferLeadership } from '@naru/coordinator-client';
import type { SeededRandom } from '@naru/runtime/simulated';
import type { Death, DiskCall } from './crash-points.ts';
import type { FaultAtlas } from './fault-atlas.ts';
import type { GroupMember, GroupMembers } from './group-members.ts';
import { pick } from './parameters.ts';
import type { Placement } from './placement.ts';
import type { QuorumMembers } from './quorum-members.ts';
import type { AmbushKind, FaultKind } from './schedule.ts';
import { coordinatorPort, idOf, type World } from './world.ts';

/** What a fault may do to the world, and what it needs to choose. */
export interface Scene {
  readonly world: World;
  /** The fault's own randomness. */
  readonly random: SeededRandom;
  readonly durationMs: number;
  readonly atlas: FaultAtlas;
  readonly admin: AdminFaults;
  readonly placement: Placement;
  /** Undefined in a run without a group. */
  readonly group: GroupMembers | undefined;
  readonly members: QuorumMembers;
  /** Ends what was begun, unless everything was healed before. */
  after(ms: number, end: () => void): void;
  /** Looks after every event until `isOver`, or until `ms` have passed or everything was healed; then `end`. */
  lieInWait(ms: number, ambush: Ambush): void;
  tell(text: string): void;
  /** For what comes later, if at all: it has. */
  readonly happened: () => void;
}

export interface Ambush {
  /** `host`: whose code ran in the event. */
  isOver(host: string | undefined): boolean;
  end(): void;
}

/** Faults that are requests of an administrator. */
export interface AdminFaults {
  recreateTopic(): void;
  addPartition(): void;
}

/** False: there was nothing to hit, or it happens later. */
export type Action = (scene: Scene) => boolean;

function cut(
  { world, after, durationMs, tell }: Scene,
  pairs: readonly (readonly [string, string])[],
  oneWay: boolean,
): boolean {
  if (pairs.length === 0) return false;
  const { network } = world.sim;
  for (const [a, b] of pairs) network.cut(a, b, { oneWay });
  after(durationMs, () => {
    for (const [a, b] of pairs) network.heal(a, b, { oneWay });
  });
  tell(pairs.map(([a, b]) => (oneWay ? `${a}→${b}` : `${a}—${b}`)).join(' '));
  return true;
}

function twoHosts({ world, random }: Scene): readonly [string, string] {
  const hosts = world.sim.nodes.map(({ name }) => name);
  const a = pick(world.serverHosts, random);
  return [
    a,
    pick(
      hosts.filter((host) => host !== a),
      random,
    ),
  ];
}

export const running = (world: World, hosts: readonly string[]): readonly string[] =>
  hosts.filter((host) => world.node(host).alive && !world.node(host).paused);
export const brokerHosts = (world: World): readonly string[] => world.brokerIds.map((id) => `b${id}`);
export const coordinatorHosts = (world: World): readonly string[] => world.coordinatorIds.map((id) => `c${id}`);

/** Kills, and starts again after the fault's time. */
function down(scene: Scene, hosts: readonly string[], how: Death): boolean {
  const { world, after, durationMs, tell } = scene;
  if (hosts.length === 0) return false;
  for (const host of hosts) world.kill(host, how);
  after(durationMs, () => {
    for (const host of hosts) world.start(host);
  });
  tell(`${hosts.join(' ')} (${how})`);
  return true;
}

/** Back before anybody has noticed. */
export function bounce(scene: Scene, [host]: readonly string[]): boolean {
  const { world, random, tell } = scene;
  if (host === undefined) return false;
  const how = death(scene);
  world.kill(host, how);
  world.sim.at(random.nextInt(100), () => world.start(host));
  tell(`${host} (${how})`);
  return true;
}

function death(scene: Scene): Death {
  const { world, random } = scene;
  if (!world.parameters.topics.every((topic) => topic.flushBeforeAck)) return 'crash';
  return pick<Death>(['crash', 'crash', 'power', 'power-lost', 'power-silent'], random);
}

export function oneOf(hosts: readonly string[], random: SeededRandom): readonly string[] {
  return hosts.length === 0 ? [] : [pick(hosts, random)];
}

function leaders(world: World): readonly string[] {
  const ids = new Set([...world.control.states].map(([, state]) => state.leader).filter((id) => id > 0));
  return running(
    world,
    [...ids].sort((a, b) => a - b).map((id) => `b${id}`),
  );
}

export function controller(world: World): readonly string[] {
  let newest = { zxid: -1, controllerId: -1 };
  for (const { publisher } of world.brokers.values()) if (publisher.image.zxid > newest.zxid) newest = publisher.image;
  return newest.controllerId < 0 ? [] : running(world, [`b${newest.controllerId}`]);
}

export function coordinatorLeader(world: World): readonly string[] {
  let found: { host: string; term: number } | undefined;
  for (const [id, coordinator] of world.coordinators) {
    const { role, term } = coordinator.status();
    if (role === 'leader' && term > (found?.term ?? -1)) found = { host: `c${id}`, term };
  }
  return found === undefined ? [] : running(world, [found.host]);
}

function pause(scene: Scene, hosts: readonly string[]): boolean {
  const { world, after, durationMs, tell } = scene;
  const [host] = hosts;
  if (host === undefined) return false;
  const node = world.node(host);
  node.pause();
  const life = node.lives;
  after(durationMs, () => {
    if (node.lives === life && node.paused) node.resume();
  });
  tell(host);
  return true;
}

/** What was sent one way is lost with the connection: requests that never arrived, or answers to requests that did their work. */
function lose(scene: Scene, isRequest: boolean): boolean {
  const { world, random, after, tell } = scene;
  const server = pick(brokerHosts(world), random);
  const client = pick(
    [...world.clientHosts, ...brokerHosts(world)].filter((host) => host !== server),
    random,
  );
  const [from, to] = isRequest ? [client, server] : [server, client];
  world.sim.network.cut(from, to, { oneWay: true });
  after(1 + random.nextInt(60), () => {
    world.sim.network.resetConnections(client, server);
    world.sim.network.heal(from, to, { oneWay: true });
  });
  tell(`${from}→${to}`);
  return true;
}

function memberThatRuns(group: GroupMembers | undefined, random: SeededRandom): GroupMember | undefined {
  const members = group?.members.filter(({ isRunning, node }) => isRunning && !node.paused) ?? [];
  return members.length === 0 ? undefined : pick(members, random);
}

const raftStore = '/coordinator/raft';
const snapshotsOf = '/coordinator/snapshots/';

const calls: readonly (DiskCall | undefined)[] = [
  undefined,
  'append',
  'sync',
  'sync',
  'truncate',
  'rename',
  'replace-file',
  'sync-directory',
  'remove',
  'batch',
];

export const actions: Readonly<Record<Exclude<FaultKind, AmbushKind>, Action>> = {
  clog: (scene) => {
    const [a, b] = twoHosts(scene);
    scene.world.sim.network.clog(a, b, scene.durationMs, { oneWay: scene.random.chance(0.5) });
    scene.tell(`${a} ${b}`);
    return true;
  },
  'slow-link': (scene) => {
    const { world, random, after, durationMs, tell } = scene;
    const [a, b] = twoHosts(scene);
    world.sim.network.setDelay(a, b, { minMs: 5, meanMs: 20 + random.nextInt(200) });
    after(4 * durationMs, () => world.sim.network.setDelay(a, b, world.parameters.networkDelay));
    tell(`${a} ${b}`);
    return true;
  },
  'reset-connections': (scene) => {
    const [a, b] = twoHosts(scene);
    const count = scene.random.chance(0.5)
      ? scene.world.sim.network.resetConnections(a)
      : scene.world.sim.network.resetConnections(a, b);
    scene.tell(`${a} ${b}: ${count}`);
    return count > 0;
  },
  'lose-requests': (scene) => lose(scene, true),
  'lose-replies': (scene) => lose(scene, false),
  'cut-pair': (scene) => cut(scene, [twoHosts(scene)], false),
  'cut-one-way': (scene) => cut(scene, [twoHosts(scene)], true),
  isolate: (scene) => {
    const host = pick(scene.world.serverHosts, scene.random);
    const others = scene.world.sim.nodes.map(({ name }) => name).filter((name) => name !== host);
    return cut(
      scene,
      others.map((other) => [host, other] as const),
      scene.random.chance(0.3),
    );
  },
  split: (scene) => {
    const { world, random } = scene;
    const sides = world.sim.nodes.map(({ name }) => [name, random.chance(0.5)] as const);
    const left = sides.filter(([, isLeft]) => isLeft).map(([name]) => name);
    const right = sides.filter(([, isLeft]) => !isLeft).map(([name]) => name);
    return cut(
      scene,
      left.flatMap((a) => right.map((b) => [a, b] as const)),
      random.chance(0.3),
    );
  },
  'cut-from-coordinators': (scene) => {
    const host = pick(brokerHosts(scene.world), scene.random);
    return cut(
      scene,
      coordinatorHosts(scene.world).map((other) => [host, other] as const),
      scene.random.chance(0.2),
    );
  },
  'cut-from-brokers': (scene) => {
    const host = pick(brokerHosts(scene.world), scene.random);
    const others = brokerHosts(scene.world).filter((other) => other !== host);
    const isOneWay = scene.random.chance(0.3);
    const pairs = others.map(
      (other) => (scene.random.chance(0.5) && isOneWay ? [other, host] : [host, other]) as [string, string],
    );
    return cut(scene, pairs, isOneWay);
  },
  'cut-clients': (scene) => {
    const host = pick(brokerHosts(scene.world), scene.random);
    return cut(
      scene,
      scene.world.clientHosts.map((client) => [client, host] as const),
      scene.random.chance(0.3),
    );
  },
  'crash-broker': (scene) => down(scene, oneOf(running(scene.world, brokerHosts(scene.world)), scene.random), 'crash'),
  'crash-leader': (scene) => down(scene, oneOf(leaders(scene.world), scene.random), death(scene)),
  'crash-controller': (scene) => down(scene, controller(scene.world), death(scene)),
  'crash-coordinator': (scene) =>
    down(scene, oneOf(running(scene.world, coordinatorHosts(scene.world)), scene.random), death(scene)),
  'crash-coordinator-leader': (scene) => down(scene, coordinatorLeader(scene.world), death(scene)),
  'crash-in-disk-call': (scene) => {
    const { world, random, after, durationMs, tell } = scene;
    const [host] = oneOf(running(world, world.serverHosts), random);
    if (host === undefined) return false;
    const isBroker = host.startsWith('b');
    const how = death(scene);
    const call = pick(
      isBroker ? calls.slice(0, -1) : [undefined, 'batch', 'rename', 'sync', 'replace-file'],
      random,
    ) as DiskCall;
    const when = pick(['before', 'within', 'after'] as const, random);
    const skip = random.nextInt(call === undefined ? 200 : 20);
    world.crashPoints.arm(host, { call, skip, when, how, onDeath: scene.happened });
    // It may not come to this call: then nothing happens.
    after(durationMs, () => {
      world.crashPoints.disarm(host);
      world.start(host);
    });
    tell(`${host} ${when} ${call} (${how})`);
    return false;
  },
  'fast-bounce': (scene) => bounce(scene, oneOf(running(scene.world, brokerHosts(scene.world)), scene.random)),
  'bounce-coordinator': (scene) =>
    bounce(scene, oneOf(running(scene.world, coordinatorHosts(scene.world)), scene.random)),
  // One after the other comes back: whoever is first may be one that had promised what it had not synced.
  'power-loss-of-coordinators': ({ world, random, after, tell }) => {
    const how = pick<Death>(['power', 'power-lost'], random);
    for (const host of coordinatorHosts(world)) {
      world.kill(host, how);
      after(random.nextInt(1_500), () => world.start(host));
    }
    tell(how);
    return true;
  },
  'recycle-coordinator': ({ world, random, members, durationMs, tell }) => {
    const [refused] = world.refused;
    const host = refused ?? pick(coordinatorHosts(world), random);
    if (!members.recycle(idOf(host), durationMs)) return false;
    tell(refused === undefined ? host : `${host}, with an empty disk`);
    return true;
  },
  'crash-all-brokers': (scene) => down(scene, running(scene.world, brokerHosts(scene.world)), 'crash'),
  'power-loss': (scene) => {
    const how = pick<Death>(['power', 'power-lost', 'power-silent'], scene.random);
    return down(scene, oneOf(running(scene.world, scene.world.serverHosts), scene.random), how);
  },
  'power-loss-of-all': (scene) => {
    const { world, random, tell, after } = scene;
    const how = pick<Death>(['power', 'power-lost'], random);
    for (const host of world.serverHosts) {
      world.kill(host, how);
      after(random.nextInt(3_000), () => world.start(host));
    }
    tell(how);
    return true;
  },
  'pause-broker': (scene) => pause(scene, oneOf(running(scene.world, brokerHosts(scene.world)), scene.random)),
  'pause-leader': (scene) => pause(scene, oneOf(leaders(scene.world), scene.random)),
  'pause-coordinator': (scene) =>
    pause(
      scene,
      scene.random.chance(0.5)
        ? coordinatorLeader(scene.world)
        : oneOf(running(scene.world, coordinatorHosts(scene.world)), scene.random),
    ),
  'slow-disk': (scene) => {
    const { world, random, after, durationMs, tell } = scene;
    const host = pick(world.serverHosts, random);
    const { disk } = world.node(host);
    disk.times = { ...disk.times, sync: { minMs: 50, meanMs: 100 + random.nextInt(2_000) } };
    after(3 * durationMs, () => {
      disk.times = { ...disk.times, sync: world.syncDelayOf(host) };
    });
    tell(host);
    return true;
  },
  'failing-sync': ({ world, random, members, tell }) => {
    const host = pick(world.serverHosts, random);
    if (host.startsWith('c')) {
      // A minority of the coordinators may forget what they acknowledged; which is one and the same in a run.
      if (host !== 'c1' || !members.mayForget(host)) return false;
      world.forgetful.add(host);
    }
    world.node(host).disk.failSyncs(random.chance(0.5) ? '.log' : '', 1);
    tell(host);
    return true;
  },
  'disk-full': (scene) => {
    const { world, random, after, durationMs, tell } = scene;
    const host = pick(brokerHosts(world), random);
    world.node(host).disk.fillUpAfter(random.nextInt(20_000));
    after(durationMs, () => world.node(host).disk.fillUpAfter(Number.POSITIVE_INFINITY));
    tell(host);
    return true;
  },
  'bit-flip': ({ world, random, atlas, tell }) => {
    const place = atlas.flippable(world, random);
    if (place === undefined) return false;
    const bit = 8 * place.byte + random.nextInt(8);
    world.node(atlas.host).disk.flipBit(place.path, bit);
    atlas.damaged.add(place.path);
    tell(`${atlas.host} ${place.path} bit ${bit}`);
    return true;
  },
  'truncate-file': ({ world, random, atlas, tell, after, durationMs }) => {
    const { host } = atlas;
    const file = atlas.damageable(world, random);
    if (file === undefined) return false;
    // While the machine is off: a file that shrinks under a running process is no fault that disks have.
    if (world.node(host).alive) world.kill(host);
    const size = random.nextInt(file.safeBytes);
    world.node(host).disk.truncateFile(file.path, size);
    atlas.damaged.add(file.path);
    after(durationMs, () => world.start(host));
    tell(`${host} ${file.path} to ${size}`);
    return true;
  },
  'failing-read': ({ world, random, tell, happened }) => {
    const host = pick(world.serverHosts, random);
    world.node(host).disk.failReads('', 1 + random.nextInt(3), happened);
    tell(host);
    // It may read nothing any more.
    return false;
  },
  // Of the one coordinator that may forget (see `failing-sync`): it refuses what it finds, and the others have to do without it until it gets an empty disk (`recycle-coordinator`).
  'damage-coordinator': (scene) => {
    const { world, random, members, tell, after, durationMs } = scene;
    const host = 'c1';
    const { disk } = world.node(host);
    const values = [...disk.storedIn(raftStore)].map(([key, bytes]) => ({ path: raftStore, key, bytes }));
    const snapshots = [...disk.files()].filter(([path, bytes]) => path.startsWith(snapshotsOf) && bytes > 0);
    const places = [...values, ...snapshots.map(([path, bytes]) => ({ path, key: undefined, bytes }))];
    if (places.length === 0 || !members.mayForget(host)) return false;
    world.forgetful.add(host);
    const { path, key, bytes } = pick(places, random);
    world.kill(host, death(scene));
    const bit = random.nextInt(8 * bytes);
    if (key === undefined) disk.flipBit(path, bit);
    else disk.flipBitOfStore(path, key, bit);
    after(durationMs, () => world.start(host));
    tell(`${host} ${path} ${key ?? ''} bit ${bit}`);
    return true;
  },
  'clock-jump': (scene) => {
    const { world, random, tell } = scene;
    const host = pick(world.serverHosts, random);
    const offsetMs = random.nextInt(120_001) - 60_000;
    world.node(host).setWallOffset(offsetMs);
    tell(`${host} by ${offsetMs} ms`);
    return true;
  },
  'controlled-shutdown': (scene) => {
    const { world, random, after, durationMs, tell } = scene;
    const [host] = oneOf(running(world, brokerHosts(world)), random);
    if (host === undefined || !world.brokers.has(idOf(host))) return false;
    void world.stop(host).then(() => after(durationMs, () => world.start(host)));
    tell(host);
    return true;
  },
  'coordinator-shutdown': (scene) => {
    const { world, random, after, durationMs, tell } = scene;
    const [host] = oneOf(
      random.chance(0.7) ? coordinatorLeader(world) : running(world, coordinatorHosts(world)),
      random,
    );
    if (host === undefined || !world.coordinators.has(idOf(host))) return false;
    void world.stop(host).then(() => after(durationMs, () => world.start(host)));
    tell(host);
    return true;
  },
  'coordinator-transfer': ({ world, random, tell }) => {
    const [from] = coordinatorLeader(world);
    if (from === undefined) return false;
    const to = pick(world.coordinatorIds, random);
    transferLeadership(world.node('admin').runtime, `${from}:${coordinatorPort}`, to).catch(() => {});
    tell(`${from} to c${to}`);
    return true;
  },
  'crash-member': (scene) => {
    const { random, group, after, durationMs, tell } = scene;
    const member = memberThatRuns(group, random);
    if (member === undefined) return false;
    member.crash();
    after(durationMs, () => member.start());
    tell(member.host);
    return true;
  },
  'pause-member': (scene) => {
    const member = memberThatRuns(scene.group, scene.random);
    return member !== undefined && pause(scene, [member.host]);
  },
  'member-leaves': ({ random, group, after, durationMs, tell }) => {
    const member = memberThatRuns(group, random);
    if (member === undefined) return false;
    member.leave();
    after(durationMs, () => member.start());
    tell(member.host);
    return true;
  },
  'crash-group-coordinator': (scene) => {
    const host = scene.group?.coordinatorHost();
    return host !== undefined && down(scene, running(scene.world, [host]), death(scene));
  },
  'recreate-topic': ({ admin }) => {
    admin.recreateTopic();
    return true;
  },
  'add-partition': ({ admin }) => {
    admin.addPartition();
    return true;
  },
  'move-partition': ({ placement, random, tell }) => {
    tell(placement.movePartition(random));
    return true;
  },
  'alter-config': ({ placement, random, tell }) => {
    tell(placement.alterConfig(random));
    return true;
  },
  'elect-preferred': ({ placement, tell }) => {
    placement.electPreferred();
    tell('of all partitions');
    return true;
  },
};
