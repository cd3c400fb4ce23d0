import type { DeletedRecords, RecordsToDelete } from '@naru/client';
import type { Command } from '../command.ts';
import { bootstrapFlags, withClient } from '../connection.ts';
import { parseFlags, UsageError } from '../flags.ts';
import { inOrder, listIn, namesOf, partitionOf } from '../partition-lists.ts';

const fileFlag = 'offset-json-file';
const flags = {
  ...bootstrapFlags,
  [fileFlag]: {
    kind: 'value',
    value: 'file',
    doc: 'offsets: {"partitions": [{"topic": "foo", "partition": 1, "offset": 1}], "version": 1}; -1: all that is committed',
    required: true,
  },
} as const;

export const command: Command<typeof flags> = {
  name: 'delete-records',
  summary: 'Deletes the records of partitions that lie below an offset.',
  usage: 'kafka-delete-records.sh --bootstrap-server <host:port> --offset-json-file <file>',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const targets = listIn(fileFlag, values[fileFlag], 'partitions').map(targetOf);
    const names = targets.map((target) => namesOf([target], ''));
    const twice = names.find((name, i) => names.indexOf(name) < i);
    if (twice !== undefined) throw new UsageError(`--${fileFlag}: ${twice} stands there twice`);
    return withClient(values, {}, async (client) => {
      process.stdout.write('Executing records delete operation\n');
      const deleted = await client.admin().deleteRecords(targets);
      process.stdout.write('Records delete operation completed:\n');
      for (const one of inOrder(deleted)) process.stdout.write(`partition: ${namesOf([one], '')}\t${outcomeOf(one)}\n`);
      return deleted.some(({ error }) => error !== undefined) ? 1 : 0;
    });
  },
};

function targetOf(entry: Record<string, unknown>): RecordsToDelete {
  const { offset } = entry;
  if (typeof offset !== 'number' || !Number.isSafeInteger(offset) || offset < -1) {
    throw new UsageError(`--${fileFlag}: "offset" is a whole number from -1 on, not ${JSON.stringify(offset)}`);
  }
  return { ...partitionOf(fileFlag, entry), beforeOffset: offset };
}

function outcomeOf({ error, lowWatermark }: DeletedRecords): string {
  return error === undefined ? `low_watermark: ${lowWatermark}` : `error: ${error.message}`;
}
