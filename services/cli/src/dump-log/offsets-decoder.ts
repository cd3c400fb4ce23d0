import { groupRecordText } from '../group-record-text.ts';
import type { RecordText } from './log-dump.ts';

/** `--offsets-decoder`: a record of `__consumer_offsets`. Kafka's tool writes the numbers of versions as text here. */
export const offsetsText: RecordText = ({ offset, key, value }) => {
  if (key === null) return [`key: Error at offset ${offset}, skipping. The record has no key`];
  try {
    const text = groupRecordText(key, value, { insideMembers: true });
    if (text === undefined) {
      const type = Buffer.from(key).readInt16BE(0);
      return [`key: Unknown record type ${type} at offset ${offset}, skipping.`];
    }
    const payload =
      text.value === null ? '<DELETE>' : JSON.stringify({ version: `${text.value.version}`, data: text.value.data });
    return [`key: ${JSON.stringify({ type: `${text.key.type}`, data: text.key.data })}`, `payload: ${payload}`];
  } catch (error) {
    return [`key: Error at offset ${offset}, skipping. ${(error as Error).message}`];
  }
};
