export * from './batch-builder.ts';
export * from './batch-header.ts';
export * from './compression.ts';
export * from './crc32c.ts';
export * from './errors.ts';
export * from './record-reader.ts';
export * from './validate-batch.ts';
export * from './varint.ts';
