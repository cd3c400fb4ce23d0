import { brokerNames, coordinatorNames, nodeNames } from '../cluster/chaos-cluster.ts';
import type { Endpoint } from '../network/network.ts';
import { type Fault, type FaultContext, oneOf, repeatedly, type Targets } from './fault.ts';

type Choice = (targets: Targets) => readonly Endpoint[];

const needs = [] as const;

function kill(name: string, doc: string, isSurvivable: boolean, choose: Choice): Fault {
  return {
    name: `kill-${name}`,
    doc: `kill -9 of ${doc}; down until the end of the fault`,
    isSurvivable,
    needs,
    run: async (context) => {
      const victims = choose(context);
      context.note(victims.join(', '));
      await Promise.all(victims.map((victim) => context.cluster.node(victim).kill()));
      await context.sleep(context.faultMs);
    },
  };
}

function pause(name: string, doc: string, isSurvivable: boolean, choose: Choice): Fault {
  return {
    name: `pause-${name}`,
    doc: `SIGSTOP of ${doc}`,
    isSurvivable,
    needs,
    run: async (context) => {
      const victims = choose(context);
      context.note(victims.join(', '));
      for (const victim of victims) context.cluster.node(victim).signal('SIGSTOP');
      await context.sleep(context.faultMs);
    },
  };
}

/** Again and again, within the session timeout: no one sees the death but by the new incarnation (row 10). */
function bounce(name: string, doc: string, isSurvivable: boolean, choose: Choice): Fault {
  return {
    name: `bounce-${name}`,
    doc: `kill -9 and start again at once of ${doc}, several times`,
    isSurvivable,
    needs,
    run: (context) =>
      repeatedly(context, async () => {
        const victims = choose(await context.targets());
        context.note(victims.join(', '));
        await Promise.all(victims.map((victim) => context.cluster.node(victim).kill()));
        await context.cluster.startNodes(victims);
        await context.sleep(1_000);
      }),
  };
}

const leader: Choice = (targets) => [targets.leader];
const follower: Choice = (targets) => targets.followers.slice(0, 1);
const controller: Choice = (targets) => [targets.controller];
const coordinatorLeader: Choice = (targets) => [targets.coordinatorLeader];
const coordinatorFollower: Choice = (targets) => targets.coordinatorFollowers.slice(0, 1);

export const processFaults: readonly Fault[] = [
  { name: 'none', doc: 'nothing happens', isSurvivable: true, needs, run: (context) => context.sleep(context.faultMs) },
  kill('leader', "a partition's leader", true, leader),
  kill('follower', 'a follower', true, follower),
  kill('controller', 'the controller', true, controller),
  kill('coordinator-leader', "the coordinators' leader", true, coordinatorLeader),
  kill('coordinator-follower', 'a coordinator that follows', true, coordinatorFollower),
  kill(
    'leader-and-coordinator-leader',
    "a partition's leader and the coordinators' leader at once",
    true,
    (targets) => [targets.leader, targets.coordinatorLeader],
  ),
  kill(
    'two-brokers',
    "a partition's leader and a follower: fewer than min.insync.replicas remain",
    false,
    (targets) => [targets.leader, ...targets.followers.slice(0, 1)],
  ),
  kill('two-coordinators', 'two coordinators: no quorum', false, (targets) => [
    targets.coordinatorLeader,
    ...targets.coordinatorFollowers.slice(0, 1),
  ]),
  kill('all-brokers', 'all brokers at once', false, () => brokerNames),
  kill('all-coordinators', 'all coordinators at once', false, () => coordinatorNames),
  kill('everything', 'all six processes at once', false, () => nodeNames),
  {
    name: 'kill-any',
    doc: 'kill -9 of some node, start it, and the next',
    isSurvivable: false,
    needs,
    run: (context) =>
      repeatedly(context, async () => {
        const victim = oneOf(nodeNames, context);
        context.note(victim);
        await context.cluster.node(victim).kill();
        await context.sleep(300 + 700 * context.dice());
        await context.cluster.node(victim).start();
      }),
  },
  {
    name: 'kill-leaders-in-turn',
    doc: 'kill -9 of the leader, then of the one that was elected, each started again a moment later (ELR, row 8)',
    isSurvivable: false,
    needs,
    run: async (context) => {
      const first = context.leader;
      await context.cluster.node(first).kill();
      await context.sleep(context.faultMs / 3);
      const { leader: second } = await context.targets();
      context.note(`${first}, ${second}`);
      await context.cluster.node(second).kill();
      await context.sleep(context.faultMs / 6);
      await context.cluster.node(first).start();
      await context.sleep(context.faultMs / 2);
    },
  },
  pause('leader', "a partition's leader", true, leader),
  pause('follower', 'a follower', true, follower),
  pause('controller', 'the controller (row 23)', true, controller),
  pause('coordinator-leader', "the coordinators' leader (row 27)", true, coordinatorLeader),
  pause('two-brokers', 'two brokers', false, (targets) => [targets.leader, ...targets.followers.slice(0, 1)]),
  pause('all-brokers', 'all brokers', false, () => brokerNames),
  pause('everything', 'all six processes', false, () => nodeNames),
  {
    name: 'pause-any',
    doc: 'SIGSTOP of one node after the other, for 0.5 to 3 s each',
    isSurvivable: false,
    needs,
    run: (context) =>
      repeatedly(context, async () => {
        const node = context.cluster.node(oneOf(nodeNames, context));
        context.note(node.name);
        node.signal('SIGSTOP');
        await context.sleep(500 + 2_500 * context.dice());
        node.signal('SIGCONT');
      }),
  },
  bounce('leader', 'the leader', true, leader),
  bounce('follower', 'a follower', true, follower),
  bounce('coordinator-leader', "the coordinators' leader", true, coordinatorLeader),
  bounce('all-brokers', 'all brokers', false, () => brokerNames),
  {
    name: 'rolling-restart',
    doc: 'SIGTERM and start of one broker after the other: no acks=all write may fail',
    isSurvivable: true,
    isOrderly: true,
    needs,
    run: (context) => restartInTurn(context, brokerNames),
  },
  {
    name: 'rolling-restart-coordinators',
    doc: 'SIGTERM and start of one coordinator after the other: no acks=all write may fail',
    isSurvivable: true,
    isOrderly: true,
    needs,
    run: (context) => restartInTurn(context, coordinatorNames),
  },
  {
    name: 'stop-without-coordinators',
    doc: 'SIGTERM of the controller while all coordinators are dead: it ends in order nevertheless',
    isSurvivable: false,
    needs,
    run: async (context) => {
      await Promise.all(coordinatorNames.map((name) => context.cluster.node(name).kill()));
      const node = context.cluster.node(context.controller);
      if (!(await node.stop())) throw new Error(`${node.name} ${node.reason} after SIGTERM`);
      context.note(`${node.name} ${node.reason}`);
    },
  },
];

async function restartInTurn(context: FaultContext, names: readonly Endpoint[]): Promise<void> {
  for (const name of names) {
    const node = context.cluster.node(name);
    if (!(await node.stop())) context.note(`${name} did not end in order: ${node.reason}`);
    await node.start();
    await context.sleep(700);
  }
}
