import { brokerNames } from '../cluster/chaos-cluster.ts';
import type { Endpoint } from '../network/network.ts';
import { type Fault, type FaultContext, oneOf, repeatedly, type Targets } from './fault.ts';

/** Four a second. */
const moveAttemptsMax = 120;

/** Out of the quorum, and in again: first as a learner, then as a voter (row 34). */
function recycle(name: string, doc: string, choose: (targets: Targets) => Endpoint | undefined): Fault {
  return {
    name: `recycle-${name}`,
    doc: `${doc} is removed from the quorum, comes back as a learner and becomes a voter again (row 34)`,
    isSurvivable: true,
    needs: [],
    run: (context) =>
      repeatedly(context, async () => {
        const victim = choose(await context.targets());
        if (victim === undefined) return;
        await recycleOne(context, victim);
      }),
  };
}

async function recycleOne(context: FaultContext, victim: Endpoint): Promise<void> {
  context.note(`${victim} is removed`);
  await context.cluster.changeMembers('remove', victim);
  await context.sleep(700);
  await context.cluster.changeMembers('add-learner', victim);
  await context.sleep(300);
  await context.cluster.changeMembers('promote', victim);
  context.note(`${victim} votes again`);
  await context.sleep(500);
}

/** A broker that is down gets no replica: asked again until it is back. */
async function move(context: FaultContext, partition: number, replicas: readonly number[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await context.cluster.reassign(context.topic, partition, replicas);
    } catch (error) {
      const isDown = /no such broker is registered/.test((error as Error).message);
      if (!isDown || attempt === moveAttemptsMax) throw error;
      await context.sleep(250);
    }
  }
}

/** Each replica in its turn is taken away from a partition and put back, empty, in an order of its own (row 13). */
async function reassignAll(context: FaultContext): Promise<void> {
  const { partitions } = context;
  const brokers = brokerNames.map((_, i) => i + 1);
  const without = 1 + Math.floor(context.dice() * brokers.length);
  const order = brokers.toSorted(() => context.dice() - 0.5);
  for (let partition = 0; partition < partitions; partition++) {
    const fewer = order.filter((broker) => broker !== without);
    context.note(`partition ${partition} moves to ${fewer.join(', ')}, then to ${order.join(', ')}`);
    await move(context, partition, fewer);
  }
  await context.sleep(1_500);
  for (let partition = 0; partition < partitions; partition++) await move(context, partition, order);
  await context.sleep(1_500);
}

async function bounce(context: FaultContext): Promise<void> {
  const victim = oneOf(brokerNames, context);
  await context.sleep(1_000 * context.dice());
  context.note(`${victim} dies`);
  await context.cluster.node(victim).kill();
  await context.sleep(context.faultMs / 2);
  await context.cluster.node(victim).start();
}

/** Changes of who belongs to the cluster. */
export const memberFaults: readonly Fault[] = [
  recycle('coordinator', 'a coordinator that follows', ({ coordinatorFollowers }) => coordinatorFollowers[0]),
  recycle('coordinator-leader', "the coordinators' leader", ({ coordinatorLeader }) => coordinatorLeader),
  {
    name: 'reassign',
    doc: 'all partitions leave a broker, whichever it is, and come back to it, empty (row 13)',
    isSurvivable: true,
    needs: [],
    run: (context) => repeatedly(context, () => reassignAll(context)),
  },
  {
    name: 'reassign-and-kill',
    doc: 'the same while a broker dies and starts again',
    isSurvivable: false,
    needs: [],
    run: async (context) => {
      const outcomes = await Promise.allSettled([reassignAll(context), bounce(context)]);
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    },
  },
];
