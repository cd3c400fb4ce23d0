/** What producer state costs on the way of a batch: nanoseconds per request of one batch. `node bench/limits/producer-state.ts`. */
import { BatchBuilder, setBaseOffset, validateBatch, writeInt32 } from '@naru/record';
import { encodeProducerSnapshot } from '../../services/broker/src/log/producer-snapshot.ts';
import { ProducerState } from '../../services/broker/src/log/producer-state.ts';

const rounds = 500_000;

function batchOf(producerId: number, valueBytes: number): Uint8Array {
  const builder = new BatchBuilder({ capacityBytes: valueBytes + 1_024 });
  builder.setProducer(producerId, producerId < 0 ? -1 : 0, producerId < 0 ? -1 : 0);
  builder.append(null, Buffer.alloc(valueBytes, 120), 1_000);
  return builder.close();
}

function report(name: string, startMs: number, count: number): void {
  const nanoseconds = ((performance.now() - startMs) * 1e6) / count;
  console.log(`${name.padEnd(52)} ${nanoseconds.toFixed(0).padStart(8)} ns each`);
}

function judgeAndLearn(name: string, producers: number): void {
  const state = new ProducerState();
  const batches = Array.from({ length: Math.max(1, producers) }, (_, id) => batchOf(producers === 0 ? -1 : id, 100));
  let offset = 0;
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const bytes = batches[i % batches.length] as Uint8Array;
      if (producers > 0) writeInt32(bytes, 53, Math.floor(offset / batches.length) & 0x7fff_ffff);
      setBaseOffset(bytes, 0, offset++);
      if (state.judge(bytes).kind !== 'new') throw new Error('not new');
      state.appended(bytes, i);
    }
  };
  run(100_000);
  offset = Math.ceil(offset / batches.length) * batches.length;
  const startMs = performance.now();
  run(rounds);
  report(name, startMs, rounds);
  if (producers === 1_000) {
    for (let i = 0; i < 20; i++) encodeProducerSnapshot(state.entries());
    const snapshotMs = performance.now();
    for (let i = 0; i < 20; i++) encodeProducerSnapshot(state.entries());
    report('snapshot of 1,000 producers with five runs each', snapshotMs, 20);
  }
}

function validation(bytes: number): void {
  const batch = batchOf(-1, bytes);
  const limits = { maxBatchBytes: 1 << 20, source: 'producer' } as const;
  const startMs = performance.now();
  for (let i = 0; i < rounds / 5; i++) validateBatch(batch, 0, limits);
  report(`for comparison: validation of a batch of ${bytes} bytes`, startMs, rounds / 5);
}

judgeAndLearn('judge and learn: no producer id', 0);
judgeAndLearn('judge and learn: one idempotent producer', 1);
judgeAndLearn('judge and learn: 1,000 producers in turn', 1_000);
validation(100);
validation(16_384);
