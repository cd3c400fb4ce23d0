import { bootstrapFlags } from '../connection.ts';
import { type FlagValues, UsageError, wholeNumber } from '../flags.ts';

export const flags = {
  ...bootstrapFlags,
  group: { kind: 'list', value: 'id', doc: 'the group; may be given several times' },
  'all-groups': { kind: 'switch', doc: 'every group' },
  topic: {
    kind: 'list',
    value: 'name[:0,1,…]',
    doc: 'with --reset-offsets, --delete-offsets: a topic, or some of its partitions',
  },
  'all-topics': { kind: 'switch', doc: 'with --reset-offsets: every topic that the group has offsets of' },
  list: { kind: 'switch', doc: 'list the groups' },
  describe: { kind: 'switch', doc: 'show offsets and lag, or --members, or --state' },
  delete: { kind: 'switch', doc: 'delete groups without members, with their offsets' },
  'reset-offsets': { kind: 'switch', doc: 'set offsets of a group without members; only shows them without --execute' },
  'delete-offsets': { kind: 'switch', doc: 'delete offsets of topics that the group does not consume' },
  members: { kind: 'switch', doc: 'with --describe: the members' },
  offsets: { kind: 'switch', doc: 'with --describe: offsets and lag, which is the default' },
  state: {
    kind: 'optional',
    value: 'state,…',
    doc: 'with --describe: the state; with --list: states as well, or only groups in some (--state Stable,Empty)',
  },
  type: {
    kind: 'optional',
    value: 'type,…',
    doc: 'with --list: types as well, or only groups of some (--type classic,consumer)',
  },
  'validate-regex': { kind: 'value', value: 'regex', doc: 'say whether a regular expression can be subscribed to' },
  verbose: { kind: 'switch', doc: 'with --describe: leader epochs, assignments, group epochs' },
  timeout: { kind: 'value', value: 'ms', default: '5000', doc: 'how long to wait for the brokers, milliseconds' },
  'dry-run': { kind: 'switch', doc: 'with --reset-offsets: show what would be set' },
  execute: { kind: 'switch', doc: 'with --reset-offsets: set it' },
  export: { kind: 'switch', doc: 'with --reset-offsets: as CSV' },
  'to-earliest': { kind: 'switch', doc: 'to the first offset there is' },
  'to-latest': { kind: 'switch', doc: 'to the end' },
  'to-current': { kind: 'switch', doc: 'to the committed offset, or the end where there is none' },
  'to-offset': { kind: 'value', value: 'offset', doc: 'to this offset, or the nearest that there is' },
  'shift-by': { kind: 'value', value: 'n', doc: 'so many further, or back when negative' },
  'to-datetime': { kind: 'value', value: 'YYYY-MM-DDTHH:mm:SS.sss', doc: 'to the first record since then (UTC)' },
  'by-duration': { kind: 'value', value: 'PnDTnHnMnS', doc: 'to the first record since so long ago' },
  'from-file': { kind: 'value', value: 'file', doc: 'to what a CSV of --export says' },
} as const;

export type Values = FlagValues<typeof flags>;

const states = ['Empty', 'PreparingRebalance', 'CompletingRebalance', 'Stable', 'Dead', 'Assigning', 'Reconciling'];

const types = ['Classic', 'Consumer'];

/** States of `--state`, none when it names none. */
export function statesOf(values: Values): readonly string[] {
  return named('state', values.state, states);
}

export function typesOf(values: Values): readonly string[] {
  return named('type', values.type, types);
}

function named(what: string, list: string | undefined, known: readonly string[]): readonly string[] {
  if (list === undefined || list === '') return [];
  return list.split(',').map((written) => {
    const found = known.find((one) => one.toLowerCase() === written.trim().toLowerCase());
    if (found === undefined) throw new UsageError(`'${written}' is no ${what} of a group: ${known.join(', ')}`);
    return found;
  });
}

export function timeoutOf(values: Values): number {
  return wholeNumber('timeout', values.timeout, 1);
}

/** `t` or `t:0,1`; partitions undefined: all of them. */
export function parseTopic(written: string): {
  readonly topic: string;
  readonly partitions: readonly number[] | undefined;
} {
  const colon = written.lastIndexOf(':');
  if (colon === -1) return { topic: written, partitions: undefined };
  const topic = written.slice(0, colon);
  const partitions = written.slice(colon + 1).split(',');
  const invalid = partitions.find((text) => !/^\d+$/.test(text));
  if (invalid !== undefined) {
    throw new UsageError(`--topic ${written}: '${invalid}' is no partition; write ${topic} or ${topic}:0,1`);
  }
  return { topic, partitions: partitions.map(Number) };
}
