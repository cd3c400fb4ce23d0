import { readFileSync } from 'node:fs';
import {
  type Admin,
  type GroupOffset,
  type ListedOffset,
  type OffsetSpec,
  orThrow,
  type TopicPartition,
} from '@naru/client';
import { CommandError } from '../command.ts';
import { describeTopics } from '../connection.ts';
import { UsageError, wholeNumber } from '../flags.ts';
import { parseTopic, timeoutOf, type Values } from './flags.ts';
import { byTopicPartition, printTable } from './table.ts';

const scenarios = [
  'to-earliest',
  'to-latest',
  'to-current',
  'to-offset',
  'shift-by',
  'to-datetime',
  'by-duration',
  'from-file',
] as const;
type Scenario = (typeof scenarios)[number];

interface NewOffset extends TopicPartition {
  readonly offset: bigint;
}

const dryRunNotice =
  'WARN: No action will be performed as the --execute option is missing. Add --dry-run to keep this behaviour.\n';

/** Sets offsets, or shows what would be set. A group with members is refused: they would go on from what they know. */
export async function resetOffsets(admin: Admin, groupIds: readonly string[], values: Values): Promise<number> {
  const chosen = scenarios.filter((name) => values[name] !== undefined && values[name] !== false);
  if (chosen.length !== 1) throw new UsageError(`--reset-offsets needs exactly one of --${scenarios.join(', --')}`);
  if (values.execute && values['dry-run']) throw new UsageError('give --dry-run or --execute, not both');
  if (!values.execute && !values['dry-run']) process.stderr.write(dryRunNotice);
  const scenario = chosen[0] as Scenario;
  const timeoutMs = timeoutOf(values);
  const table: [group: string, offset: NewOffset][] = [];
  let status = 0;
  for (const group of await admin.describeGroups(groupIds, { timeoutMs })) {
    if (group.error !== undefined && group.state !== 'Dead') throw group.error;
    if (group.state !== 'Empty' && group.state !== 'Dead') {
      const text = `Assignments can only be reset if the group '${group.groupId}' is inactive, but the current state is ${group.state}.`;
      process.stdout.write(`\nError: ${text}\n`);
      status = 1;
      continue;
    }
    const offsets = await newOffsets(admin, group.groupId, scenario, values);
    if (values.execute) orThrow(await admin.alterGroupOffsets(group.groupId, offsets, { timeoutMs }));
    table.push(...offsets.map((offset): [string, NewOffset] => [group.groupId, offset]));
  }
  if (values.export) exportOffsets(table, values.group.length !== 1);
  else if (table.length > 0) printOffsets(table);
  return status;
}

function printOffsets(table: readonly [group: string, offset: NewOffset][]): void {
  const rows = table.map(([group, { topic, partition, offset }]) => [group, topic, String(partition), String(offset)]);
  printTable([['GROUP', 'TOPIC', 'PARTITION', 'NEW-OFFSET'], ...rows], [-30, -30, -10, -15]);
}

/** With the group in front unless one was named. Kafka's tool ends with an empty line. */
function exportOffsets(table: readonly [group: string, offset: NewOffset][], hasGroups: boolean): void {
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  for (const [group, { topic, partition, offset }] of table) {
    const first = hasGroups ? [quoted(group)] : [];
    process.stdout.write(`${[...first, quoted(topic), partition, offset].join(',')}\n`);
  }
  process.stdout.write('\n');
}

async function newOffsets(admin: Admin, groupId: string, scenario: Scenario, values: Values): Promise<NewOffset[]> {
  const timeoutMs = timeoutOf(values);
  if (scenario === 'from-file') {
    const planned = readOffsets(values['from-file'] as string, groupId);
    if (planned.length === 0) process.stdout.write(`\nError: No reset plan for group ${groupId} found.\n`);
    return clamped(admin, planned, timeoutMs);
  }
  const committed = await admin.listGroupOffsets(groupId, { timeoutMs });
  const partitions = await partitionsToReset(admin, committed, values);
  const atSpec = (spec: OffsetSpec): Promise<ListedOffset[]> =>
    admin.listOffsets(
      partitions.map((one) => ({ ...one, spec })),
      { timeoutMs },
    );
  const current = new Map(committed.map((offset) => [`${offset.topic}/${offset.partition}`, offset.offset]));
  const latest = await atSpec('latest');
  const withOffset = (of: (index: number) => bigint | undefined): NewOffset[] =>
    partitions.map((one, i) => ({ ...one, offset: of(i) ?? latest[i]?.offset ?? 0n }));
  const currentOf = (i: number): bigint | undefined => current.get(keyOf(partitions[i] as TopicPartition));
  switch (scenario) {
    case 'to-latest':
      return withOffset(() => undefined);
    case 'to-current':
      return withOffset(currentOf);
    case 'to-earliest': {
      const earliest = await atSpec('earliest');
      return withOffset((i) => earliest[i]?.offset);
    }
    case 'to-datetime':
    case 'by-duration': {
      const found = await atSpec({ timestamp: scenario === 'to-datetime' ? datetimeOf(values) : durationAgo(values) });
      for (const { topic, partition, offset } of found) {
        if (offset !== undefined) continue;
        const text = `Partition ${partition} from topic ${topic} is empty. Falling back to latest known offset.`;
        process.stdout.write(`\nWarn: ${text}\n`);
      }
      return withOffset((i) => found[i]?.offset);
    }
    case 'to-offset': {
      const offset = BigInt(wholeNumber('to-offset', values['to-offset'] as string, 0));
      return clamped(
        admin,
        partitions.map((one) => ({ ...one, offset })),
        timeoutMs,
      );
    }
    case 'shift-by': {
      const by = BigInt(wholeNumber('shift-by', values['shift-by'] as string, Number.MIN_SAFE_INTEGER));
      const shifted = partitions.map((one, i) => {
        const offset = currentOf(i);
        if (offset === undefined) {
          throw new CommandError(
            `Cannot shift offset for partition ${one.topic}-${one.partition} since there is no current committed offset`,
          );
        }
        return { ...one, offset: offset + by };
      });
      return clamped(admin, shifted, timeoutMs);
    }
  }
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

async function partitionsToReset(
  admin: Admin,
  committed: readonly GroupOffset[],
  values: Values,
): Promise<TopicPartition[]> {
  if (values['all-topics'] === values.topic.length > 0)
    throw new UsageError('--reset-offsets needs --topic or --all-topics');
  if (values['all-topics']) {
    return committed.map(({ topic, partition }) => ({ topic, partition })).sort(byTopicPartition);
  }
  return namedPartitions(admin, values.topic);
}

/** What `--topic t`, `--topic t:0,1` stand for. */
export async function namedPartitions(admin: Admin, written: readonly string[]): Promise<TopicPartition[]> {
  const asked = written.map(parseTopic);
  const described = await describeTopics(
    admin,
    asked.map(({ topic }) => topic),
  );
  const missing: string[] = [];
  const named = asked.flatMap(({ topic, partitions }, i) => {
    const all = described[i]?.partitions.map(({ partition }) => partition) ?? [];
    for (const partition of partitions ?? []) if (!all.includes(partition)) missing.push(`${topic}-${partition}`);
    return (partitions ?? all).map((partition) => ({ topic, partition }));
  });
  if (missing.length > 0) throw new CommandError(`Error: The partitions "${missing.join(',')}" do not exist`);
  return named;
}

/** Within what the log has; says so where it had to be moved. */
async function clamped(admin: Admin, wanted: readonly NewOffset[], timeoutMs: number): Promise<NewOffset[]> {
  const at = (spec: OffsetSpec): Promise<ListedOffset[]> =>
    admin.listOffsets(
      wanted.map(({ topic, partition }) => ({ topic, partition, spec })),
      { timeoutMs },
    );
  const [earliest, latest] = [await at('earliest'), await at('latest')];
  return wanted.map((one, i) => {
    const first = earliest[i]?.offset ?? 0n;
    const end = latest[i]?.offset ?? first;
    if (one.offset >= first && one.offset <= end) return one;
    const [which, offset] = one.offset < first ? ['lower than earliest', first] : ['higher than latest', end];
    const where = `${one.topic}-${one.partition}`;
    process.stderr.write(
      `New offset (${one.offset}) is ${which} offset for topic partition ${where}. Value will be set to ${offset}\n`,
    );
    return { ...one, offset: offset as bigint };
  });
}

/** UTC unless it says otherwise, as Kafka's tool reads it. */
function datetimeOf(values: Values): number {
  const text = values['to-datetime'] as string;
  const hasZone = /(?:Z|[+-]\d{2}:?\d{2})$/.test(text);
  const time = /^\d{4}-\d{2}-\d{2}T/.test(text) ? Date.parse(hasZone ? text : `${text}Z`) : Number.NaN;
  if (Number.isNaN(time))
    throw new UsageError(`--to-datetime must be of the form YYYY-MM-DDTHH:mm:SS.sss, not '${text}'`);
  return time;
}

const secondMs = 1_000;
const unitsMs = [86_400 * secondMs, 3_600 * secondMs, 60 * secondMs, secondMs];

/** ISO 8601, days to seconds: `P7D`, `PT1H30M`. */
function durationAgo(values: Values): number {
  const text = values['by-duration'] as string;
  const match = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(text);
  const numbers = match?.slice(1).map((digits) => (digits === undefined ? 0 : Number(digits)));
  if (numbers === undefined || text === 'P' || text.endsWith('T')) {
    throw new UsageError(`--by-duration must be of the form PnDTnHnMnS, not '${text}'`);
  }
  return Date.now() - numbers.reduce((sum, number, i) => sum + number * (unitsMs[i] as number), 0);
}

/** CSV of `--export`: topic, partition, offset, and the group in front of them when there were several. */
function readOffsets(file: string, groupId: string): NewOffset[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${(error as Error).message}`);
  }
  const offsets: NewOffset[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const cells = line.split(',').map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));
    const group = cells.length === 4 ? cells.shift() : groupId;
    const [topic = '', partition = '', offset = ''] = cells;
    if (cells.length !== 3 || !/^\d+$/.test(partition) || !/^\d+$/.test(offset)) {
      throw new CommandError(`${file}:${i + 1}: not of the form topic,partition,offset`);
    }
    if (group === groupId) offsets.push({ topic, partition: Number(partition), offset: BigInt(offset) });
  }
  return offsets;
}
