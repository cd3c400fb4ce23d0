import type { Admin, GroupOutcome } from '@naru/client';
import { type Command, CommandError } from '../command.ts';
import { withClient } from '../connection.ts';
import { describeAll } from '../consumer-groups/describe.ts';
import { flags, takeStates, timeoutOf, type Values } from '../consumer-groups/flags.ts';
import { namedPartitions, resetOffsets } from '../consumer-groups/reset.ts';
import { parseFlags, UsageError } from '../flags.ts';

const actions = ['list', 'describe', 'delete', 'reset-offsets', 'delete-offsets'] as const;

export const command: Command<typeof flags> = {
  name: 'consumer-groups',
  summary: 'Lists, describes and deletes consumer groups, and sets their offsets.',
  usage:
    'kafka-consumer-groups.sh --bootstrap-server <host:port> --list|--describe|--delete|--reset-offsets|--delete-offsets [flags]',
  flags,
  run: async (argv) => {
    const { argv: rest, states } = takeStates(argv);
    const { values } = parseFlags(flags, rest);
    const chosen = actions.filter((action) => values[action]);
    if (chosen.length !== 1) throw new UsageError(`give exactly one of --${actions.join(', --')}`);
    const [action] = chosen as [(typeof actions)[number]];
    if (values['all-groups'] && values.group.length > 0) throw new UsageError('give --group or --all-groups, not both');
    if (action !== 'list' && values.group.length === 0 && !values['all-groups']) {
      throw new UsageError(`--${action} needs --group or --all-groups`);
    }
    if ([values.members, values.offsets, values.state].filter(Boolean).length > 1) {
      throw new UsageError('give one of --members, --offsets, --state');
    }
    return withClient(values, {}, (client) => perform(client.admin(), action, values, states));
  },
};

async function perform(
  admin: Admin,
  action: (typeof actions)[number],
  values: Values,
  states: readonly string[],
): Promise<number> {
  try {
    if (action === 'list') return await list(admin, values, states);
    const groupIds = await chosenGroups(admin, values);
    switch (action) {
      case 'describe':
        return await describeAll(admin, groupIds, values);
      case 'delete':
        return await remove(admin, groupIds, values);
      case 'reset-offsets':
        return await resetOffsets(admin, groupIds, values);
      case 'delete-offsets':
        return await deleteOffsets(admin, groupIds, values);
    }
  } catch (error) {
    if (error instanceof UsageError || error instanceof CommandError) throw error;
    throw new CommandError(`Error: Executing consumer group command failed due to ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function chosenGroups(admin: Admin, values: Values): Promise<readonly string[]> {
  if (!values['all-groups']) return values.group;
  return (await admin.listGroups({ timeoutMs: timeoutOf(values) })).map(({ groupId }) => groupId);
}

async function list(admin: Admin, values: Values, states: readonly string[]): Promise<number> {
  const groups = await admin.listGroups({ timeoutMs: timeoutOf(values), states });
  if (!values.state) {
    for (const { groupId } of groups) process.stdout.write(`${groupId}\n`);
    return 0;
  }
  const width = Math.max(15, ...groups.map(({ groupId }) => groupId.length)) + 10;
  const line = (group: string, state: string): string => `${group.padEnd(width)} ${state.padEnd(20)}\n`;
  process.stdout.write(line('GROUP', 'STATE'));
  for (const { groupId, state } of groups) process.stdout.write(line(groupId, state));
  return 0;
}

async function remove(admin: Admin, groupIds: readonly string[], values: Values): Promise<number> {
  const outcomes = await admin.deleteGroups(groupIds, { timeoutMs: timeoutOf(values) });
  const quoted = (some: readonly GroupOutcome[]): string => some.map(({ groupId }) => `'${groupId}'`).join(', ');
  const failed = outcomes.filter(({ error }) => error !== undefined);
  if (failed.length === 0) {
    process.stdout.write(`Deletion of requested consumer groups (${quoted(outcomes)}) was successful.\n`);
    return 0;
  }
  process.stdout.write('\nError: Deletion of some consumer groups failed:\n');
  for (const { groupId, error } of failed) {
    process.stdout.write(`* Group '${groupId}' could not be deleted due to: ${error?.message}\n`);
  }
  const done = outcomes.filter(({ error }) => error === undefined);
  if (done.length > 0) process.stdout.write(`\nThese consumer groups were deleted successfully: ${quoted(done)}\n`);
  return 1;
}

async function deleteOffsets(admin: Admin, groupIds: readonly string[], values: Values): Promise<number> {
  if (values.topic.length === 0) throw new UsageError('--delete-offsets needs --topic');
  const partitions = await namedPartitions(admin, values.topic);
  let status = 0;
  for (const groupId of groupIds) {
    const outcomes = await admin.deleteGroupOffsets(groupId, partitions, { timeoutMs: timeoutOf(values) });
    const hasFailed = outcomes.some(({ error }) => error !== undefined);
    const topics = [...new Set(partitions.map(({ topic }) => topic))].join(', ');
    process.stdout.write(
      hasFailed
        ? '\nEncountered some partition-level error, see the follow-up details:\n'
        : `Request succeed for deleting offsets from group ${groupId} topic ${topics}\n`,
    );
    process.stdout.write(`\n${'TOPIC'.padEnd(30)} ${'PARTITION'.padEnd(15)} ${'STATUS'.padEnd(15)}\n`);
    for (const { topic, partition, error } of outcomes) {
      const result = error === undefined ? 'Successful' : `Error: ${error.message}`;
      process.stdout.write(`${topic.padEnd(30)} ${String(partition).padEnd(15)} ${result.padEnd(15)}\n`);
    }
    if (hasFailed) status = 1;
  }
  return status;
}
