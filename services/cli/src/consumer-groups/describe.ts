import type { Admin, GroupDescription, GroupMemberDescription, GroupOffset, TopicPartition } from '@naru/client';
import { timeoutOf, type Values } from './flags.ts';
import { byTopicPartition, printTable } from './table.ts';

const missing = '-';
const columnMin = 15;
const instanceColumnMin = 17;
const coordinatorColumnMin = 25;
const assignmentColumnMin = 20;

/** Prints one group after the other; 1 when one of them does not exist. */
export async function describeAll(admin: Admin, groupIds: readonly string[], values: Values): Promise<number> {
  const timeoutMs = timeoutOf(values);
  let status = 0;
  for (const group of await admin.describeGroups(groupIds, { timeoutMs })) {
    if (group.error !== undefined && group.state !== 'Dead') throw group.error;
    const isThere = announceState(group);
    if (!isThere) status = 1;
    else if (values.members) printMembers(group, values.verbose);
    else if (values.state !== undefined) printState(group, values.verbose);
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
  const ends = await logEnds(admin, rows, timeoutMs);
  const epoch = values.verbose ? ['LEADER-EPOCH'] : [];
  const header = ['GROUP', 'TOPIC', 'PARTITION', ...epoch, 'CURRENT-OFFSET', 'LOG-END-OFFSET', 'LAG'];
  const table = [[...header, 'CONSUMER-ID', 'HOST', 'CLIENT-ID']];
  for (const row of rows) {
    const end = ends.get(`${row.topic}/${row.partition}`);
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

/** Of the partitions that are there and have a leader: the others must not hide what is known of the rest. */
async function logEnds(
  admin: Admin,
  rows: readonly TopicPartition[],
  timeoutMs: number,
): Promise<ReadonlyMap<string, bigint | undefined>> {
  const described = await admin.describeTopics([...new Set(rows.map(({ topic }) => topic))], { timeoutMs });
  const led = new Set<string>();
  for (const topic of described) {
    if ('error' in topic) continue;
    for (const { partition, leader } of topic.partitions) {
      if (leader !== undefined && leader >= 0) led.add(`${topic.name}/${partition}`);
    }
  }
  const asked = rows.filter(({ topic, partition }) => led.has(`${topic}/${partition}`));
  const queries = asked.map(({ topic, partition }) => ({ topic, partition, spec: 'latest' as const }));
  const found = queries.length === 0 ? [] : await admin.listOffsets(queries, { timeoutMs });
  return new Map(found.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]));
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

function printMembers(group: GroupDescription, isVerbose: boolean): void {
  const hasInstances = group.members.some(({ groupInstanceId }) => groupInstanceId !== undefined);
  const instance = (text: string): string[] => (hasInstances ? [text] : []);
  const header = ['GROUP', 'CONSUMER-ID', ...instance('GROUP-INSTANCE-ID'), 'HOST', 'CLIENT-ID', '#PARTITIONS'];
  const verbose = ['CURRENT-EPOCH', 'CURRENT-ASSIGNMENT', 'TARGET-EPOCH', 'TARGET-ASSIGNMENT'];
  const rows = group.members.map((member) => [
    group.groupId,
    member.memberId,
    ...instance(member.groupInstanceId ?? ''),
    member.clientHost,
    member.clientId,
    String(member.assignment.length),
    ...(isVerbose
      ? [
          orMissing(member.memberEpoch),
          assignmentText(member.assignment),
          orMissing(group.targetAssignmentEpoch),
          assignmentText(member.targetAssignment ?? []),
        ]
      : ['']),
  ]);
  const instanceWidth = hasInstances ? [instanceColumnMin] : [];
  // Without more columns Kafka leaves the blank in front of them.
  const verboseWidths = isVerbose ? [-15, assignmentColumnMin, -15, assignmentColumnMin] : [0];
  printTable(
    [[...header, ...(isVerbose ? verbose : [''])], ...rows],
    [columnMin, columnMin, ...instanceWidth, columnMin, columnMin, -15, ...verboseWidths],
  );
}

function orMissing(epoch: number | undefined): string {
  return epoch === undefined ? missing : String(epoch);
}

/** `t:0,1;u:2`. */
function assignmentText(assignment: readonly TopicPartition[]): string {
  if (assignment.length === 0) return missing;
  const byTopic = Map.groupBy([...assignment].sort(byTopicPartition), ({ topic }) => topic);
  return [...byTopic].map(([topic, list]) => `${topic}:${list.map(({ partition }) => partition).join(',')}`).join(';');
}

function printState(group: GroupDescription, isVerbose: boolean): void {
  const { id, host, port } = group.coordinator;
  const coordinator = `${host}:${port}  (${id})`;
  const header = ['GROUP', 'COORDINATOR (ID)', 'ASSIGNMENT-STRATEGY', 'STATE'];
  const row = [group.groupId, coordinator, group.protocol === '' ? missing : group.protocol, group.state];
  const widths = [columnMin, coordinatorColumnMin, -20, -20];
  if (isVerbose) {
    header.push('GROUP-EPOCH', 'TARGET-ASSIGNMENT-EPOCH');
    row.push(orMissing(group.groupEpoch), orMissing(group.targetAssignmentEpoch));
    widths.push(-15, -25);
  }
  printTable(
    [
      [...header, '#MEMBERS'],
      [...row, String(group.members.length)],
    ],
    [...widths, 0],
  );
}
