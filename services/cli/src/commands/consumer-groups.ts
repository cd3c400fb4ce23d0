import type { Admin, GroupOutcome } from '@naru/client';
import { type Command, CommandError } from '../command.ts';
import { withClient } from '../connection.ts';
import { describeAll } from '../consumer-groups/describe.ts';
import { flags, statesOf, timeoutOf, typesOf, type Values } from '../consumer-groups/flags.ts';
import { namedPartitions, resetOffsets } from '../consumer-groups/reset.ts';
import { printTable } from '../consumer-groups/table.ts';
import { parseFlags, UsageError } from '../flags.ts';

const actions = ['list', 'describe', 'delete', 'reset-offsets', 'delete-offsets', 'validate-regex'] as const;
type Action = (typeof actions)[number];

export const command: Command<typeof flags> = {
  name: 'consumer-groups',
  summary: 'Lists, describes and deletes consumer groups, and sets their offsets.',
  usage:
    'kafka-consumer-groups.sh --bootstrap-server <host:port> --list|--describe|--delete|--reset-offsets|--delete-offsets|--validate-regex [flags]',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const chosen = actions.filter((action) => values[action] !== undefined && values[action] !== false);
    if (chosen.length !== 1) throw new UsageError(`give exactly one of --${actions.join(', --')}`);
    const [action] = chosen as [Action];
    if (action === 'validate-regex') return validateRegex(values['validate-regex'] as string);
    check(action, values);
    return withClient(values, {}, (client) => perform(client.admin(), action, values));
  },
};

function check(action: Action, values: Values): void {
  if (values['all-groups'] && values.group.length > 0) throw new UsageError('give --group or --all-groups, not both');
  if (action !== 'list' && values.group.length === 0 && !values['all-groups']) {
    throw new UsageError(`--${action} needs --group or --all-groups`);
  }
  const views = [values.members, values.offsets, values.state !== undefined].filter(Boolean);
  if (views.length > 1) throw new UsageError('give one of --members, --offsets, --state');
  if (action !== 'list' && values.type !== undefined) throw new UsageError('--type goes with --list');
  if (action === 'describe' && values.state) throw new UsageError('--state takes no value with --describe');
}

function validateRegex(pattern: string): number {
  try {
    new RegExp(pattern);
  } catch (error) {
    const reason = (error as Error).message.split(': ').at(-1);
    process.stdout.write(`The regular expression \`${pattern}\` is invalid: ${reason}.\n`);
    return 1;
  }
  process.stdout.write(`The regular expression \`${pattern}\` is valid.\n`);
  return 0;
}

async function perform(admin: Admin, action: Exclude<Action, 'validate-regex'>, values: Values): Promise<number> {
  try {
    if (action === 'list') return await list(admin, values);
    const groupIds = await chosenGroups(admin, values);
    switch (action) {
      case 'describe':
        return await describeAll(admin, groupIds.toSorted(), values);
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

async function list(admin: Admin, values: Values): Promise<number> {
  const options = { timeoutMs: timeoutOf(values), states: statesOf(values), types: typesOf(values) };
  const groups = await admin.listGroups(options);
  if (values.state === undefined && values.type === undefined) {
    for (const { groupId } of groups) process.stdout.write(`${groupId}\n`);
    return 0;
  }
  const width = Math.max(15, ...groups.map(({ groupId }) => groupId.length)) + 10;
  const line = (group: string, type: string, state: string): string => {
    const columns = [...(values.type === undefined ? [] : [type]), ...(values.state === undefined ? [] : [state])];
    return `${[group.padEnd(width), ...columns.map((column) => column.padEnd(20))].join(' ')}\n`;
  };
  process.stdout.write(line('GROUP', 'TYPE', 'STATE'));
  for (const { groupId, type, state } of groups) process.stdout.write(line(groupId, type, state));
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
    process.stdout.write(
      hasFailed
        ? '\nError: Encountered some partition-level error, see the follow-up details:\n'
        : `Request succeed for deleting offsets with topic ${values.topic.join(', ')} group ${groupId}\n`,
    );
    const rows = outcomes.map(({ topic, partition, error }) => [
      topic,
      String(partition),
      error === undefined ? 'Successful' : `Error: ${error.message}`,
    ]);
    printTable([['TOPIC', 'PARTITION', 'STATUS'], ...rows], [-30, -15, -15]);
    if (hasFailed) status = 1;
  }
  return status;
}
