import type { Endpoint } from '../network/network.ts';
import { type Fault, type FaultContext, repeatedly, type Targets } from './fault.ts';

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

/** Changes of who belongs to the cluster. */
export const memberFaults: readonly Fault[] = [
  recycle('coordinator', 'a coordinator that follows', ({ coordinatorFollowers }) => coordinatorFollowers[0]),
  recycle('coordinator-leader', "the coordinators' leader", ({ coordinatorLeader }) => coordinatorLeader),
];
