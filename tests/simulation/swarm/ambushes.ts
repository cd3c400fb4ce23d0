import type { CommittedState, Member } from '../checkers/control.ts';
import { churnTopic } from './churn.ts';
import type { Death } from './crash-points.ts';
import { bounceVoter } from './duel.ts';
import {
  type Action,
  bounce,
  brokerHosts,
  controller,
  coordinatorHosts,
  oneOf,
  running,
  type Scene,
} from './fault-actions.ts';
import { pick } from './parameters.ts';
import type { AmbushKind } from './schedule.ts';
import { idOf, type World } from './world.ts';

/**
 * Faults that wait for a moment of the protocol: a race that needs three things within milliseconds comes about by luck once in thousands of runs. They do
 * nothing that other faults could not do; only when they do it is no accident.
 */
export const ambushes: Readonly<Record<AmbushKind, Action>> = {
  'bounce-voter': bounceVoter,
  'bounce-joiner': bounceJoiner,
  'overtake-controller': overtakeController,
  'outlive-topic': outliveTopic,
  'return-alone': returnAlone,
};

/** Of a session's time: whoever is held back keeps its session. */
const heldShareMax = 0.6;

function sessionMs(world: World): number {
  return Number(world.parameters.brokerSettings['session.timeout.ms']);
}

/** What `host` says to the coordinators waits until the returned function is called; it hears them all the same. */
function holdBack(world: World, host: string): () => void {
  const { sim } = world;
  for (const other of coordinatorHosts(world)) sim.network.cut(host, other, { oneWay: true });
  const release = (): void => {
    for (const other of coordinatorHosts(world)) sim.network.heal(host, other, { oneWay: true });
  };
  sim.at(heldShareMax * sessionMs(world), release);
  return release;
}

interface Registration {
  readonly czxid: number;
  readonly isStopping: boolean;
}

/** Of a broker, in the tree of the coordinator in which something has just happened. */
function registrationIn(world: World, host: string | undefined, brokerId: number): Registration | undefined {
  const coordinator = host?.startsWith('c') ? world.coordinators.get(idOf(host)) : undefined;
  const znode = coordinator?.tree().znodes.get(`/brokers/ids/${brokerId}`);
  return znode && { czxid: znode.czxid, isStopping: JSON.parse(Buffer.from(znode.data).toString()).stopping === true };
}

/** Whom the leader `brokerId` is about to take into an ISR as one of its replicas on `joinerId`. */
function joining(world: World, brokerId: number, joinerId: number): Member | undefined {
  for (const { partition } of world.brokers.get(brokerId)?.replicas.hosted ?? []) {
    const inSync = partition?.state.leader?.inSync;
    if (inSync === undefined || inSync.maximal === inSync.committed) continue;
    const isCommitted = (member: Member): boolean =>
      inSync.committed.some((m) => m.brokerId === member.brokerId && m.brokerEpoch === member.brokerEpoch);
    const found = inSync.maximal.find((member) => member.brokerId === joinerId && !isCommitted(member));
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Rows 9, 10: a follower is another incarnation before the change that takes it into the ISR is written.
 *   1. a broker bounces, so that it has to join its ISRs anew;
 *   2. a leader finds that it has caught up; its write is held back;
 *   3. the broker bounces again, and registers;
 *   4. the write arrives.
 */
function bounceJoiner(scene: Scene): boolean {
  const { world, random, lieInWait, tell, happened } = scene;
  const hosts = oneOf(running(world, brokerHosts(world)), random);
  if (!bounce(scene, hosts)) return false;
  const host = hosts[0] as string;
  const downMs = random.nextInt(20);
  let joined: Member | undefined;
  let release = (): void => {};
  lieInWait(3 * sessionMs(world), {
    isOver: (moved) => {
      if (joined !== undefined) {
        const registration = registrationIn(world, moved, idOf(host));
        return registration !== undefined && registration.czxid > joined.brokerEpoch;
      }
      if (!moved?.startsWith('b') || moved === host) return false;
      joined = joining(world, idOf(moved), idOf(host));
      if (joined === undefined) return false;
      release = holdBack(world, moved);
      world.kill(host);
      world.sim.at(downMs, () => world.start(host));
      tell(`${host} again, which ${moved} takes back`);
      happened();
      return false;
    },
    end: () => release(),
  });
  return false;
}

/**
 * Rows 23, 24: a controller decides on a state that its leader changes before the decision is written.
 *   1. a follower is cut from its leader, and will be lagging;
 *   2. the leader begins a controlled shutdown; the controller marks it, and its next write, which moves the leadership, is held back;
 *   3. the leader takes the follower out of the ISR, and goes on acknowledging;
 *   4. the controller's write arrives, decided on the ISR of before.
 */
function overtakeController({ world, random, after, lieInWait, tell, happened }: Scene): boolean {
  const [controllerHost] = controller(world);
  const led = [...world.control.states].filter(([, { leader, isr }]) => {
    return isr.length > 2 && `b${leader}` !== controllerHost && running(world, [`b${leader}`]).length > 0;
  });
  if (controllerHost === undefined || led.length === 0) return false;
  const [path, { leader, isr }] = pick(led, random);
  const followers = isr.filter(({ brokerId }) => brokerId !== leader);
  const { brokerId: follower } = pick(followers, random);
  const [leaderHost, followerHost] = [`b${leader}`, `b${follower}`];
  const lagMs = Number(world.parameters.brokerSettings['replica.lag.time.max.ms']);
  const { network } = world.sim;
  network.cut(leaderHost, followerHost);
  after(lagMs * (0.5 + 0.5 * random.nextFloat()), () => {
    if (!world.brokers.has(leader) || world.node(leaderHost).paused) return;
    void world.stop(leaderHost).then(() => after(500, () => world.start(leaderHost)));
  });
  tell(`${leaderHost}—${followerHost}, ${leaderHost} stops; ${path}`);
  let release: (() => void) | undefined;
  lieInWait(2 * lagMs + sessionMs(world), {
    isOver: (moved) => {
      if (release === undefined) {
        if (registrationIn(world, moved, leader)?.isStopping) release = holdBack(world, controllerHost);
        return false;
      }
      const state = world.control.states.get(path);
      if (state?.leader !== leader || state.isr.some(({ brokerId }) => brokerId === follower)) return false;
      happened();
      return true;
    },
    end: () => {
      // What is acknowledged meanwhile is what could be lost; a follower that catches up first loses nothing.
      world.sim.at(200, () => release?.());
      world.sim.at(400, () => network.heal(leaderHost, followerHost));
    },
  });
  return false;
}

/**
 * Row 18: the ISR change of a topic that was deleted is written to the next one of its name.
 *   1. a topic is new: its state has version 0; its follower is cut off, and will be lagging;
 *   2. the leader takes the follower out of the ISR; its write is held back;
 *   3. the topic is deleted and created again, and another broker leads it: the state has version 0;
 *   4. the write arrives.
 */
function outliveTopic({ world, admin, lieInWait, tell, happened }: Scene): boolean {
  const { network } = world.sim;
  const lagMs = Number(world.parameters.brokerSettings['replica.lag.time.max.ms']);
  const stateNow = (): CommittedState | undefined => world.control.stateOf(churnTopic, 0);
  const createdBefore = stateNow()?.createdZxid;
  let old: CommittedState | undefined;
  let release: (() => void) | undefined;
  let heal = (): void => {};
  admin.recreateTopic();
  lieInWait(2 * lagMs + 2 * sessionMs(world), {
    isOver: (moved) => {
      const state = stateNow();
      if (state === undefined || state.createdZxid === createdBefore) return false;
      if (old === undefined) {
        const leaderHost = `b${state.leader}`;
        const others = state.isr.filter(({ brokerId }) => brokerId !== state.leader);
        // Topics are deleted and created by the controller, which must not be held back.
        if (state.version > 0 || others.length === 0 || controller(world).includes(leaderHost)) return true;
        for (const { brokerId } of others) network.cut(leaderHost, `b${brokerId}`);
        heal = () => {
          for (const { brokerId } of others) network.heal(leaderHost, `b${brokerId}`);
        };
        old = state;
        return false;
      }
      if (release === undefined) {
        if (state.version > 0 || state.createdZxid !== old.createdZxid) return true;
        if (moved !== `b${old.leader}` || !isProposing(world, old.leader)) return false;
        release = holdBack(world, moved);
        admin.recreateTopic();
        return false;
      }
      if (state.createdZxid === old.createdZxid) return false;
      if (state.version === 0 && state.leader !== old.leader) {
        tell(`b${old.leader} on the state of ${old.createdZxid}, now led by b${state.leader}`);
        happened();
      }
      return true;
    },
    end: () => {
      release?.();
      heal();
    },
  });
  return false;
}

/** Whether the leader `brokerId` has decided on another ISR for the topic that comes and goes. */
function isProposing(world: World, brokerId: number): boolean {
  const topicId = world.control.topicIdOf(churnTopic) ?? '';
  const leader = world.brokers.get(brokerId)?.replicas.partitionById(topicId, 0)?.state.leader;
  return leader?.inSync.mayPropose === false;
}

/**
 * Row 57: a damaged replica is back before those that are whole.
 *   1. a synced batch above the recovery point goes bad, which looks like a hole in what was never synced;
 *   2. all brokers go down;
 *   3. the one with the bad batch is back, and becomes the controller; it decides with nobody else alive.
 */
function returnAlone({ world, random, atlas, after, tell }: Scene): boolean {
  const place = atlas.flippableAbove(world, random);
  if (place === undefined) return false;
  world.node(atlas.host).disk.flipBit(place.path, 8 * place.byte + random.nextInt(8));
  atlas.damaged.add(place.path);
  const mayLosePower = world.parameters.topics.every((topic) => topic.flushBeforeAck);
  const how = mayLosePower ? pick<Death>(['crash', 'power', 'power-lost'], random) : 'crash';
  for (const host of brokerHosts(world)) {
    world.kill(host, how);
    // By then the sessions of before are over, and there is a controller that decides.
    const backMs = host === atlas.host ? random.nextInt(200) : 1.5 * sessionMs(world) + random.nextInt(3_000);
    after(backMs, () => world.start(host));
  }
  tell(`${atlas.host} ${place.path} byte ${place.byte}; all (${how}), ${atlas.host} is back first`);
  return true;
}
