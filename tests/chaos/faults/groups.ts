import type { Fault, FaultContext } from './fault.ts';
import { oneOf, repeatedly } from './fault.ts';

const needs = [] as const;

/** Longer than a member's session: others have its partitions when it wakes. */
const pauseMs = 8_000;

async function memberComes(context: FaultContext): Promise<void> {
  context.note(`${await context.members.join()} comes`);
}

async function memberLeaves(context: FaultContext): Promise<void> {
  const name = oneOf(context.members.living, context);
  context.note(`${name} leaves`);
  await context.members.leave(name);
}

async function memberDies(context: FaultContext): Promise<void> {
  const name = oneOf(context.members.living, context);
  context.note(`${name} dies`);
  await context.members.kill(name);
}

/** kill -9 of the broker that coordinates the group; it starts again a moment later. */
async function coordinatorDies(context: FaultContext): Promise<void> {
  const name = context.groupCoordinator();
  if (name === undefined) return;
  context.note(`${name}, the group's coordinator, dies`);
  await context.cluster.node(name).kill();
  await context.sleep(500);
  await context.cluster.node(name).start();
}

/** What happens to the members of a group and to its coordinator; for workloads that have members. */
export const groupFaults: readonly Fault[] = [
  {
    name: 'kill-group-coordinator',
    doc: 'kill -9 of the broker that coordinates the group, every few seconds (rows 50–52)',
    isSurvivable: false,
    needs,
    run: (context) =>
      repeatedly(context, async () => {
        await coordinatorDies(context);
        await context.sleep(1_500);
      }),
  },
  {
    name: 'pause-members',
    doc: 'SIGSTOP of half of the members for longer than their session (G4)',
    isSurvivable: true,
    needs,
    run: async (context) => {
      const victims = context.members.living.filter((_, i) => i % 2 === 0);
      context.note(victims.join(', '));
      for (const victim of victims) context.members.pause(victim);
      await context.sleep(Math.max(context.faultMs, pauseMs));
      context.members.resumeAll();
      await context.sleep(1_000);
    },
  },
  {
    name: 'members-come-and-go',
    doc: 'a member comes, another one leaves in order, and so on',
    isSurvivable: true,
    needs,
    run: (context) =>
      repeatedly(context, async () => {
        await memberComes(context);
        await context.sleep(800);
        await memberLeaves(context);
        await context.sleep(400);
      }),
  },
  {
    name: 'kill-members',
    doc: 'kill -9 of a member, another one comes, and so on',
    isSurvivable: true,
    needs,
    run: (context) =>
      repeatedly(context, async () => {
        await memberDies(context);
        await context.sleep(600);
        await memberComes(context);
        await context.sleep(600);
      }),
  },
  {
    name: 'group-storm',
    doc: 'the coordinator and members die, members come, leave and stand still, in any order',
    isSurvivable: false,
    needs,
    run: (context) =>
      repeatedly(context, async () => {
        const step = oneOf([coordinatorDies, memberComes, memberLeaves, memberDies, memberStandsStill], context);
        await step(context);
        // Never nobody, and never a crowd that this machine could not run.
        if (context.members.living.length < 2) await memberComes(context);
        if (context.members.living.length > 6) await memberLeaves(context);
        await context.sleep(200 + 800 * context.dice());
      }),
  },
];

async function memberStandsStill(context: FaultContext): Promise<void> {
  const name = oneOf(context.members.living, context);
  context.note(`${name} stands still`);
  context.members.pause(name);
  await context.sleep(500 + 2_000 * context.dice());
  context.members.resumeAll();
}
