import type { Command } from '../command.ts';

const flags = {
  config: { kind: 'value', value: 'file', required: true, doc: 'properties file' },
} as const;

/** `naru broker --config F` is the same as the service's own main: it runs in this process. */
function nodeCommand(
  name: 'broker' | 'coordinator',
  load: () => Promise<{ main: (argv: readonly string[]) => Promise<number> }>,
): Command<typeof flags> {
  return {
    name,
    summary: `Runs one ${name} in the foreground. Any setting can be given as --override key=value, over the file.`,
    usage: `naru ${name} --config FILE [--override key=value …]`,
    flags,
    run: async (argv) => (await load()).main(argv),
  };
}

export const brokerCommand = nodeCommand('broker', () => import('@naru/broker/main') as never);
export const coordinatorCommand = nodeCommand('coordinator', () => import('@naru/coordinator/main') as never);
