import { encodeJson, ZnodeFields } from './znode-fields.ts';

/** `/latest_producer_id_block`: the block of producer ids that was taken last, and by whom. As in ZooKeeper-era Kafka, numbers as text. */
export interface ProducerIdBlock {
  readonly brokerId: number;
  readonly first: number;
  readonly last: number;
}

export function encodeProducerIdBlock(block: ProducerIdBlock): Uint8Array {
  return encodeJson({
    version: 1,
    broker: block.brokerId,
    block_start: String(block.first),
    block_end: String(block.last),
  });
}

export function decodeProducerIdBlock(path: string, data: Uint8Array): ProducerIdBlock {
  const fields = ZnodeFields.parse(path, data);
  fields.version(1);
  const first = idOf(fields, 'block_start');
  const last = idOf(fields, 'block_end');
  if (last < first) fields.fail('the block ends before it begins');
  return { brokerId: fields.integer('broker'), first, last };
}

function idOf(fields: ZnodeFields, name: string): number {
  const text = fields.text(name);
  const id = Number(text);
  return /^\d{1,16}$/.test(text) && Number.isSafeInteger(id) ? id : fields.fail(`${name} is not a producer id`);
}
