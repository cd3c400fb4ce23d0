import { constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { RpcError, type StatusCode, statusNumber } from '../status.ts';

const statusByNumber = new Map<number, StatusCode>(
  Object.entries(statusNumber).map(([code, number]) => [number, code as StatusCode]),
);

/** A message that no header list limit should refuse; the rest is cut. */
const messageCharactersMax = 1_024;

export function statusHeaders(error: RpcError | undefined): { 'grpc-status': string; 'grpc-message'?: string } {
  if (error === undefined) return { 'grpc-status': '0' };
  return { 'grpc-status': String(statusNumber[error.code]), 'grpc-message': percentEncode(error.message) };
}

/** How a call ended by the trailers of its response; undefined when it ended well. */
export function statusOf(headers: IncomingHttpHeaders): RpcError | undefined {
  const number = Number(headers['grpc-status']);
  if (number === 0) return undefined;
  const message = headers['grpc-message'];
  return new RpcError(
    statusByNumber.get(number) ?? 'unknown',
    percentDecode(typeof message === 'string' ? message : ''),
  );
}

/** A response without gRPC's status: a proxy or another kind of server answered (doc/http-grpc-status-mapping.md). */
export function statusOfHttp(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): RpcError {
  const status = headers[':status'];
  const codes: { readonly [status: number]: StatusCode } = {
    400: 'internal',
    401: 'unauthenticated',
    403: 'permission-denied',
    404: 'unimplemented',
    429: 'unavailable',
    502: 'unavailable',
    503: 'unavailable',
    504: 'unavailable',
  };
  const code = (status === undefined ? undefined : codes[status]) ?? 'unknown';
  return new RpcError(code, `the answer has no gRPC status (HTTP status ${status ?? 'missing'})`);
}

/** A stream reset by the other side (doc/PROTOCOL-HTTP2.md, "Errors"). */
export function statusOfReset(resetCode: number): RpcError {
  const codes: { readonly [code: number]: StatusCode } = {
    [constants.NGHTTP2_REFUSED_STREAM]: 'unavailable',
    [constants.NGHTTP2_CANCEL]: 'cancelled',
    [constants.NGHTTP2_ENHANCE_YOUR_CALM]: 'resource-exhausted',
    [constants.NGHTTP2_INADEQUATE_SECURITY]: 'permission-denied',
  };
  return new RpcError(codes[resetCode] ?? 'internal', `the other side reset the stream (HTTP/2 code ${resetCode})`);
}

/** `grpc-message` carries UTF-8; bytes outside printable ASCII, and `%`, are percent-encoded. */
export function percentEncode(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text.slice(0, messageCharactersMax), 'utf8')) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** Never fails: what is not a valid escape stays as it is. */
export function percentDecode(text: string): string {
  const bytes: number[] = [];
  for (let index = 0; index < text.length; index += 1) {
    const match = /^%([0-9a-fA-F]{2})/.exec(text.slice(index, index + 3));
    if (match === null) bytes.push(text.charCodeAt(index) & 0xff);
    else {
      bytes.push(Number.parseInt(match[1] as string, 16));
      index += 2;
    }
  }
  return Buffer.from(bytes).toString('utf8');
}

const millisecondsPerUnit: { readonly [unit: string]: number } = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** `grpc-timeout`: at most eight digits and a unit. */
export function timeoutHeader(timeoutMs: number): string {
  const milliseconds = Math.max(1, Math.ceil(timeoutMs));
  if (milliseconds < 100_000_000) return `${milliseconds}m`;
  return `${Math.min(99_999_999, Math.ceil(milliseconds / 1_000))}S`;
}

/** Milliseconds, or undefined when there is no deadline. Throws `RpcError` `invalid-argument`. */
export function timeoutOf(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const match = typeof header === 'string' ? /^(\d{1,8})([HMSmun])$/.exec(header) : null;
  if (match === null) throw new RpcError('invalid-argument', 'a malformed grpc-timeout');
  return Number(match[1]) * (millisecondsPerUnit[match[2] as string] as number);
}
