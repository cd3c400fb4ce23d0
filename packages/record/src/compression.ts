import { createRequire } from 'node:module';
import zlib from 'node:zlib';
import { RecordError } from './errors.ts';
import { lz4FrameContentBytes, lz4InJavaScript } from './lz4-frame.ts';
import { snappyInJavaScript } from './snappy-block.ts';
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

/** Why this process can neither write nor read the codec, and what to do about it; undefined when it can. */
export function whyUnavailable(compression: Compression): string | undefined {
  if (compression !== 'zstd' || typeof zlib.zstdCompressSync === 'function') return undefined;
  const way = 'run Node 22.15 or later, or let producers use lz4, snappy or gzip';
  return `compression zstd is not in this Node (${process.version}): ${way}`;
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
      return lz4().compress(bytes);
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
      return lz4().decompress(bytes, maxBytes);
    case 'zstd':
      return zstd().zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, maxBytes) });
  }
}

interface Lz4Frames {
  compress(bytes: Uint8Array): Uint8Array;
  decompress(bytes: Uint8Array, maxBytes: number): Uint8Array;
}

interface SnappyModule {
  compressSync(input: Uint8Array): Buffer;
  uncompressSync(input: Uint8Array): string | Buffer;
}

interface Lz4Module {
  compressFrameSync(input: Buffer): Buffer;
  decompressFrameSync(input: Buffer): Buffer;
}

/**
 * Loads at first use: a broker never needs a codec. Where the native module is not installed or does not fit the machine, what we have in TypeScript
 * takes its place, several times slower.
 */
function nativeOr<Codec, Module>(name: string, wrap: (native: Module) => Codec, fallback: Codec): () => Codec {
  let loaded: Codec | undefined;
  return () => {
    loaded ??= nativeCodec(name, wrap) ?? fallback;
    return loaded;
  };
}

/** Undefined where the module cannot be loaded. */
function nativeCodec<Codec, Module>(name: string, wrap: (native: Module) => Codec): Codec | undefined {
  try {
    return wrap(requireNative(name) as Module);
  } catch {
    return undefined;
  }
}

const snappyBlocks = nativeOr<SnappyBlocks, SnappyModule>('snappy', wrapSnappy, snappyInJavaScript);
const lz4 = nativeOr<Lz4Frames, Lz4Module>('lz4-napi', wrapLz4, lz4InJavaScript);

function wrapSnappy(native: SnappyModule): SnappyBlocks {
  return {
    compress: (bytes) => native.compressSync(bytes),
    uncompress: (bytes) => native.uncompressSync(bytes) as Buffer,
  };
}

function wrapLz4(native: Lz4Module): Lz4Frames {
  return {
    compress: (bytes) => native.compressFrameSync(asBuffer(bytes)),
    decompress: (bytes, maxBytes) => {
      lz4FrameContentBytes(bytes, maxBytes);
      return native.decompressFrameSync(asBuffer(bytes));
    },
  };
}

function zstd(): typeof zlib {
  const reason = whyUnavailable('zstd');
  if (reason !== undefined) throw new RecordError('codec-unavailable', reason);
  return zlib;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
