import type { Admin, GroupDescription, GroupMemberDescription, GroupOffset, TopicPartition } from '@naru/client';
import { timeoutOf, type Values } from './flags.ts';

const missing = '-';
const columnMin = 15;
const instanceColumnMin = 17;
const coordinatorColumnMin = 25;

/** Prints one group after the other; 1 when one of them does not exist. */
export async function describeAll(admin: Admin, groupIds: readonly string[], values: Values): Promise<number> {
  const timeoutMs = timeoutOf(values);
  let status = 0;
  for (const group of await admin.describeGroups(groupIds, { timeoutMs })) {
    if (group.error !== undefined && group.state !== 'Dead') throw group.error;
    const isThere = announceState(group);
    if (!isThere) status = 1;
    else if (values.members) printMembers(group, values.verbose);
    else if (values.state) printState(group);
    else await printOffsets(admin, group, values);
  }
  return status;
}

/** Says what a reader has to know first. False when there is no such group. */
function announceState({ groupId, state }: GroupDescription): boolean {
  switch (state) {
    case 'Dead':
      process.stdout.write(`\nError: Consumer group '${groupId}' does not exist.\n`);
      return false;
    case 'Empty':
      process.stderr.write(`\nConsumer group '${groupId}' has no active members.\n`);
      return true;
    case 'Stable':
      return true;
    default:
      process.stderr.write(`\nWarning: Consumer group '${groupId}' is rebalancing.\n`);
      return true;
  }
}

interface OffsetRow extends TopicPartition {
  readonly committed: GroupOffset | undefined;
  readonly member: GroupMemberDescription | undefined;
}

async function printOffsets(admin: Admin, group: GroupDescription, values: Values): Promise<void> {
  const timeoutMs = timeoutOf(values);
  const committed = await admin.listGroupOffsets(group.groupId, { timeoutMs });
  const rows = offsetRows(group, committed);
  if (rows.length === 0) return;
  const queries = rows.map(({ topic, partition }) => ({ topic, partition, spec: 'latest' as const }));
  const ends = await admin.listOffsets(queries, { timeoutMs });
  const epoch = values.verbose ? ['LEADER-EPOCH'] : [];
  const header = ['GROUP', 'TOPIC', 'PARTITION', ...epoch, 'CURRENT-OFFSET', 'LOG-END-OFFSET', 'LAG'];
  const table = [[...header, 'CONSUMER-ID', 'HOST', 'CLIENT-ID']];
  for (const [i, row] of rows.entries()) {
    const end = ends[i]?.offset;
    const offset = row.committed?.offset;
    const lag = offset === undefined || end === undefined ? missing : String(end - offset);
    const leaderEpoch = row.committed?.leaderEpoch ?? -1;
    table.push([
      group.groupId,
      row.topic,
      String(row.partition),
      ...(values.verbose ? [leaderEpoch < 0 ? missing : String(leaderEpoch)] : []),
      offset === undefined ? missing : String(offset),
      end === undefined ? missing : String(end),
      lag,
      row.member?.memberId ?? missing,
      row.member?.clientHost ?? missing,
      row.member?.clientId ?? missing,
    ]);
  }
  const widths = [columnMin, columnMin, -10, ...(values.verbose ? [-15] : []), -15, -15, -15, columnMin, columnMin, 0];
  printTable(table, widths);
}

/** What members have, who has most first; then what is committed and nobody's. */
function offsetRows(group: GroupDescription, committed: readonly GroupOffset[]): OffsetRow[] {
  const byPartition = new Map(committed.map((offset) => [`${offset.topic}/${offset.partition}`, offset]));
  const rows: OffsetRow[] = [];
  const members = [...group.members].sort((a, b) => b.assignment.length - a.assignment.length);
  for (const member of members) {
    const partitions = [...member.assignment].sort(byTopicPartition);
    for (const { topic, partition } of partitions) {
      const key = `${topic}/${partition}`;
      rows.push({ topic, partition, committed: byPartition.get(key), member });
      byPartition.delete(key);
    }
  }
  const rest = [...byPartition.values()].sort(byTopicPartition);
  return [...rows, ...rest.map((offset) => ({ ...offset, committed: offset, member: undefined }))];
}

export function byTopicPartition(a: TopicPartition, b: TopicPartition): number {
  if (a.topic === b.topic) return a.partition - b.partition;
  return a.topic < b.topic ? -1 : 1;
}

function printMembers(group: GroupDescription, isVerbose: boolean): void {
  if (group.members.length === 0) return;
  const hasInstances = group.members.some(({ groupInstanceId }) => groupInstanceId !== undefined);
  const instance = (text: string): string[] => (hasInstances ? [text] : []);
  const verbose = (text: string): string[] => (isVerbose ? [text] : []);
  const table = [
    [
      'GROUP',
      'CONSUMER-ID',
      ...instance('GROUP-INSTANCE-ID'),
      'HOST',
      'CLIENT-ID',
      '#PARTITIONS',
      ...verbose('ASSIGNMENT'),
    ],
  ];
  for (const member of group.members) {
    table.push([
      group.groupId,
      member.memberId,
      ...instance(member.groupInstanceId ?? ''),
      member.clientHost,
      member.clientId,
      String(member.assignment.length),
      ...verbose(assignmentText(member.assignment)),
    ]);
  }
  const instanceWidth = hasInstances ? [instanceColumnMin] : [];
  printTable(table, [columnMin, columnMin, ...instanceWidth, columnMin, columnMin, -15, ...(isVerbose ? [0] : [])]);
}

/** `t(0,1), u(2)`. */
function assignmentText(assignment: readonly TopicPartition[]): string {
  if (assignment.length === 0) return missing;
  const byTopic = Map.groupBy([...assignment].sort(byTopicPartition), ({ topic }) => topic);
  return [...byTopic]
    .map(([topic, list]) => `${topic}(${list.map(({ partition }) => partition).join(',')})`)
    .join(', ');
}

function printState(group: GroupDescription): void {
  const { id, host, port } = group.coordinator;
  const coordinator = `${host}:${port}  (${id})`;
  const width = Math.max(coordinatorColumnMin, coordinator.length);
  printTable(
    [
      ['GROUP', 'COORDINATOR (ID)', 'ASSIGNMENT-STRATEGY', 'STATE', '#MEMBERS'],
      [group.groupId, coordinator, group.protocol, group.state, String(group.members.length)],
    ],
    [-width, -25, -20, -15, 0],
  );
}

/** `widths`: negative: exactly (as printf's `%-Ns`), positive: at least, and as wide as the widest cell; 0: the last column, not padded. */
export function printTable(table: readonly (readonly string[])[], widths: readonly number[]): void {
  const resolved = widths.map((width, column) => {
    if (width <= 0) return -width;
    return Math.max(width, ...table.slice(1).map((row) => (row[column] ?? '').length));
  });
  const line = (row: readonly string[]): string => row.map((cell, i) => cell.padEnd(resolved[i] ?? 0)).join(' ');
  process.stdout.write(`\n${table.map(line).join('\n')}\n`);
}
