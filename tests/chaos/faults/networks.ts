import { brokerNames, coordinatorNames, endpoints } from '../cluster/chaos-cluster.ts';
import { client, type Endpoint, observer } from '../network/network.ts';
import type { Fault, FaultContext, Targets } from './fault.ts';

type Pairs = readonly (readonly [from: Endpoint, to: Endpoint])[];

/** Everyone but `one` and the observer, which must see what happens. */
function othersThan(...excepted: readonly Endpoint[]): Endpoint[] {
  return endpoints.filter((endpoint) => endpoint !== observer && !excepted.includes(endpoint));
}

function both(group: readonly Endpoint[], others: readonly Endpoint[]): Pairs {
  return group.flatMap((a) => others.flatMap((b) => [[a, b] as const, [b, a] as const]));
}

function oneWay(from: readonly Endpoint[], to: readonly Endpoint[]): Pairs {
  return from.flatMap((a) => to.filter((b) => b !== a).map((b) => [a, b] as const));
}

function partition(name: string, doc: string, isSurvivable: boolean, choose: (targets: Targets) => Pairs): Fault {
  return {
    name: `cut-${name}`,
    doc,
    isSurvivable,
    needs: [],
    run: async (context) => {
      const pairs = choose(context);
      context.note(describe(context));
      for (const [from, to] of pairs) context.cluster.network.cut(from, to);
      await context.sleep(context.faultMs);
    },
  };
}

function describe({ leader, controller, coordinatorLeader }: FaultContext): string {
  return `leader ${leader}, controller ${controller}, coordinators' leader ${coordinatorLeader}`;
}

async function eachFor(context: FaultContext, ms: number, act: () => void): Promise<void> {
  const until = performance.now() + context.faultMs;
  while (performance.now() < until) {
    act();
    await context.sleep(ms);
    context.cluster.network.heal();
    await context.sleep(ms / 2);
  }
}

export const networkFaults: readonly Fault[] = [
  partition('leader', 'the leader is cut off from everyone', true, ({ leader }) => both([leader], othersThan(leader))),
  partition('follower', 'a follower is cut off from everyone', true, ({ followers }) =>
    both(followers.slice(0, 1), othersThan(followers[0] as Endpoint)),
  ),
  partition('controller', 'the controller is cut off from everyone', true, ({ controller }) =>
    both([controller], othersThan(controller)),
  ),
  partition(
    'two-brokers',
    'two brokers, the leader with a follower, are cut off from everyone else',
    false,
    (targets) => {
      const minority = [targets.leader, targets.followers[0] as Endpoint];
      return both(minority, othersThan(...minority));
    },
  ),
  partition('leader-outgoing', 'what the leader says reaches nobody; it hears everything', true, ({ leader }) =>
    oneWay([leader], othersThan(leader)),
  ),
  partition('leader-incoming', 'what others say does not reach the leader; it is heard', true, ({ leader }) =>
    oneWay(othersThan(leader), [leader]),
  ),
  partition(
    'leader-from-coordinators',
    'the leader is cut off from the coordinators only (row 5)',
    true,
    ({ leader }) => both([leader], coordinatorNames),
  ),
  partition('leader-to-coordinators', 'only what the leader says to the coordinators is lost', true, ({ leader }) =>
    oneWay([leader], coordinatorNames),
  ),
  partition(
    'leader-from-followers',
    'the leader is cut off from the other brokers only (row 7)',
    false,
    ({ leader, followers }) => both([leader], followers),
  ),
  partition('leader-from-one-follower', 'the leader is cut off from one follower only', true, ({ leader, followers }) =>
    both([leader], followers.slice(0, 1)),
  ),
  partition('leader-from-clients', 'the leader is cut off from the clients only', false, ({ leader }) =>
    both([leader], [client]),
  ),
  partition('acks-to-clients', 'what the leader answers to the clients is lost', false, ({ leader }) =>
    oneWay([leader], [client]),
  ),
  partition('clients', 'the clients are cut off from all brokers', false, () => both([client], brokerNames)),
  partition(
    'controller-from-coordinators',
    'the controller is cut off from the coordinators only (row 23)',
    true,
    ({ controller }) => both([controller], coordinatorNames),
  ),
  partition('coordinator-leader', "the coordinators' leader is cut off from everyone", true, ({ coordinatorLeader }) =>
    both([coordinatorLeader], othersThan(coordinatorLeader)),
  ),
  partition(
    'coordinator-leader-from-peers',
    "the coordinators' leader is cut off from the other coordinators only (row 35)",
    true,
    (targets) => both([targets.coordinatorLeader], targets.coordinatorFollowers),
  ),
  partition('coordinator-leader-outgoing', "what the coordinators' leader says to its peers is lost", true, (targets) =>
    oneWay([targets.coordinatorLeader], targets.coordinatorFollowers),
  ),
  partition(
    'coordinator-leader-incoming',
    "what its peers say does not reach the coordinators' leader (row 35)",
    true,
    (targets) => oneWay(targets.coordinatorFollowers, [targets.coordinatorLeader]),
  ),
  partition('coordinators-apart', 'no coordinator reaches another: no quorum', false, () =>
    oneWay(coordinatorNames, coordinatorNames),
  ),
  partition('coordinators-from-brokers', 'the brokers are cut off from all coordinators', false, () =>
    both(coordinatorNames, brokerNames),
  ),
  partition('brokers-apart', 'no broker reaches another', false, () => oneWay(brokerNames, brokerNames)),
  {
    name: 'cut-flapping',
    doc: 'some pairs of nodes are cut off from each other, one way or both, for 0.6 s, again and again',
    isSurvivable: false,
    needs: [],
    run: (context) =>
      eachFor(context, 600, () => {
        for (const from of othersThan()) {
          for (const to of othersThan(from)) if (context.dice() < 0.25) context.cluster.network.cut(from, to);
        }
      }),
  },
  {
    name: 'stall-all',
    doc: 'all links stand still for 1.5 s (less than the session timeout), again and again',
    isSurvivable: false,
    needs: [],
    run: (context) =>
      eachFor(context, 1_500, () => {
        for (const [from, to] of oneWay(othersThan(), othersThan())) context.cluster.network.cut(from, to);
      }),
  },
  delayed('all', 'every message is 60 ms late', 60, () => oneWay(othersThan(), othersThan())),
  delayed('leader', 'messages from and to the leader are 300 ms late', 300, ({ leader }) =>
    both([leader], othersThan(leader)),
  ),
  delayed('coordinator-leader', "messages from and to the coordinators' leader are 250 ms late", 250, (targets) =>
    both([targets.coordinatorLeader], othersThan(targets.coordinatorLeader)),
  ),
];

function delayed(name: string, doc: string, delayMs: number, choose: (targets: Targets) => Pairs): Fault {
  return {
    name: `delay-${name}`,
    doc,
    isSurvivable: true,
    needs: ['delay'],
    run: async (context) => {
      for (const [from, to] of choose(context)) context.cluster.network.delay(from, to, delayMs);
      await context.sleep(context.faultMs);
    },
  };
}
