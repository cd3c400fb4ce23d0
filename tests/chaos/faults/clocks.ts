import { nodeNames } from '../cluster/chaos-cluster.ts';
import type { Endpoint } from '../network/network.ts';
import { type Fault, type FaultContext, repeatedly, type Targets } from './fault.ts';

/** Less than message.timestamp.after.max.ms (an hour): beyond it a broker refuses the records of producers whose clock is right. */
const wrongMaxMs = 50 * 60_000;
const strobeMs = 200;

function jump(name: string, doc: string, choose: (targets: Targets) => readonly Endpoint[]): Fault {
  return {
    name: `clock-jump-${name}`,
    doc: `the clock of ${doc} jumps 50 minutes ahead, then 50 minutes behind`,
    isSurvivable: true,
    needs: ['shim'],
    run: async (context) => {
      const victims = choose(context);
      context.note(victims.join(', '));
      for (const aheadMs of [wrongMaxMs, -wrongMaxMs]) {
        for (const victim of victims) context.shim(victim).setClock(aheadMs);
        await context.sleep(context.faultMs / 2);
      }
    },
  };
}

function anyOffset(context: FaultContext): number {
  return Math.round((2 * context.dice() - 1) * wrongMaxMs);
}

/** Wrong wall clocks (the monotonic clock is never wrong): no promise and no time limit may hang on them. */
export const clockFaults: readonly Fault[] = [
  jump('leader', "a partition's leader", (targets) => [targets.leader]),
  jump('coordinator-leader', "the coordinators' leader", (targets) => [targets.coordinatorLeader]),
  {
    name: 'clock-strobe',
    doc: 'the clocks of all nodes jump to and fro by up to 50 minutes, five times a second',
    isSurvivable: true,
    needs: ['shim'],
    run: (context) =>
      repeatedly(context, async () => {
        for (const name of nodeNames) context.shim(name).setClock(anyOffset(context));
        await context.sleep(strobeMs);
      }),
  },
];
