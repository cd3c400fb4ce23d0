import { createRequire } from 'node:module';
import zlib from 'node:zlib';
import { RecordError } from './errors.ts';
import { lz4FrameContentBytes } from './lz4-frame.ts';
import { compressXerial, type SnappyBlocks, uncompressSnappy } from './snappy-framing.ts';

/** Kafka's names, in the order of their numbers in a batch's attributes. */
export const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type Compression = (typeof compressions)[number];

/** What decompressing one batch may give where the caller names no limit of its own. */
export const decompressedBytesMax = 128 * 1024 * 1024;

const requireNative = createRequire(import.meta.url);

export function compressionNumber(compression: Compression): number {
  return compressions.indexOf(compression);
}

/** Throws `RecordError` `corrupt` for 5 to 7, which mean nothing. */
export function compressionOf(number: number): Compression {
  const compression = compressions[number];
  if (compression === undefined) throw new RecordError('corrupt', `unknown compression type ${number}`);
  return compression;
}

export function isCompression(name: string): name is Compression {
  return (compressions as readonly string[]).includes(name);
}

/** `level` is the codec's own scale (gzip 1–9, zstd −131072–22); snappy and lz4 have none. */
export function compress(compression: Compression, bytes: Uint8Array, level?: number): Uint8Array {
  switch (compression) {
    case 'none':
      return bytes;
    case 'gzip':
      return zlib.gzipSync(bytes, level === undefined ? {} : { level });
    case 'snappy':
      return compressXerial(snappyBlocks(), bytes);
    case 'lz4':
      return lz4().compressFrameSync(asBuffer(bytes));
    case 'zstd':
      return zstd().zstdCompressSync(
        bytes,
        level === undefined ? {} : { params: { [zlib.constants.ZSTD_c_compressionLevel]: level } },
      );
  }
}

/** Throws `RecordError`: `too-large` when more than `maxBytes` would come out, `corrupt`, or `codec-unavailable`. */
export function decompress(
  compression: Compression,
  bytes: Uint8Array,
  maxBytes: number = decompressedBytesMax,
): Uint8Array {
  if (compression === 'none') return bytes;
  try {
    return decompressWith(compression, bytes, maxBytes);
  } catch (error) {
    if (error instanceof RecordError) throw error;
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new RecordError('too-large', `${compression} content is larger than ${maxBytes} bytes`);
    }
    throw new RecordError('corrupt', `${compression} content cannot be decompressed`, { cause: error });
  }
}

function decompressWith(compression: Exclude<Compression, 'none'>, bytes: Uint8Array, maxBytes: number): Uint8Array {
  switch (compression) {
    case 'gzip':
      return zlib.gunzipSync(bytes, { maxOutputLength: Math.max(1, maxBytes) });
    case 'snappy':
      return uncompressSnappy(snappyBlocks(), bytes, maxBytes);
    case 'lz4':
      lz4FrameContentBytes(bytes, maxBytes);
      return lz4().decompressFrameSync(asBuffer(bytes));
    case 'zstd':
      return zstd().zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, maxBytes) });
  }
}

interface SnappyModule {
  compressSync(input: Uint8Array): Buffer;
  uncompressSync(input: Uint8Array): string | Buffer;
}

interface Lz4Module {
  compressFrameSync(input: Buffer): Buffer;
  decompressFrameSync(input: Buffer): Buffer;
}

/** Native modules are loaded at first use: a broker never needs them, and a machine without them serves the other codecs. */
function loadOnce<T>(compression: Compression, name: string): () => T {
  let loaded: T | undefined;
  return () => {
    if (loaded !== undefined) return loaded;
    try {
      loaded = requireNative(name) as T;
      return loaded;
    } catch (error) {
      const message = `compression ${compression} needs the native module ${name}, which cannot be loaded here`;
      throw new RecordError('codec-unavailable', message, { cause: error });
    }
  };
}

const lz4 = loadOnce<Lz4Module>('lz4', 'lz4-napi');
const snappyModule = loadOnce<SnappyModule>('snappy', 'snappy');

function snappyBlocks(): SnappyBlocks {
  const native = snappyModule();
  return {
    compress: (bytes) => native.compressSync(bytes),
    uncompress: (bytes) => native.uncompressSync(bytes) as Buffer,
  };
}

function zstd(): typeof zlib {
  if (typeof zlib.zstdCompressSync === 'function') return zlib;
  throw new RecordError('codec-unavailable', 'compression zstd needs Node 22.15 or later');
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
