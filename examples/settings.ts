// The flags of the examples, so that each of them begins with what it is about.
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    'bootstrap-server': { type: 'string', default: 'localhost:9092' },
    topic: { type: 'string', default: 'numbers' },
    group: { type: 'string' },
    /** The file to which records are written: the work that is done once, twice or never. */
    out: { type: 'string', default: 'handled.txt' },
    /** How many records a producer sends. */
    count: { type: 'string', default: '10000' },
  },
});

export const settings = { ...values, bootstrapServers: values['bootstrap-server'], count: Number(values.count) };
