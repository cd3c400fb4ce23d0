import type { Command } from '../command.ts';

/** `naru broker --config F` is the same as the service's own main: it runs in this process. */
export function nodeCommand(
  name: 'broker' | 'coordinator',
  load: () => Promise<{ main: (argv: readonly string[]) => Promise<number> }>,
): Command {
  return {
    name,
    summary: `Runs one ${name} in the foreground.`,
    usage: `naru ${name} --config FILE [--override key=value …]`,
    flags: {},
    isPassedThrough: true,
    // Not by an empty event loop: a node that cannot go on still has its ports open.
    run: async (argv) => process.exit(await (await load()).main(argv)),
  };
}

export const brokerCommand = nodeCommand('broker', () => import('@naru/broker/main') as never);
export const coordinatorCommand = nodeCommand('coordinator', () => import('@naru/coordinator/main') as never);
