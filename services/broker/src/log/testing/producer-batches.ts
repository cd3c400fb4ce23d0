import { BatchBuilder } from '@naru/record';

export interface ProducerBatchFields {
  readonly producerId: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly count: number;
}

/** A batch as an idempotent producer sends it; -1 for every field makes it one of a producer without an id. */
export function producerBatch({ producerId, epoch, sequence, count }: ProducerBatchFields): Uint8Array {
  const builder = new BatchBuilder({ capacityBytes: 512 });
  builder.setProducer(producerId, epoch, sequence);
  for (let i = 0; i < count; i++) builder.append(null, Buffer.from(`${producerId}/${epoch}/${sequence + i}`), 1_000);
  return builder.close();
}

export function producerBatches(batches: readonly ProducerBatchFields[]): Uint8Array {
  return Buffer.concat(batches.map(producerBatch));
}
