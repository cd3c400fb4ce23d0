import { Message } from './message.ts';
import { ProtocolError } from './protocol-error.ts';
import { Reader } from './reader.ts';
import type { Decoded, Encodable, Fields } from './schema.ts';
import { includesVersion, parseVersions, type VersionRange, type Versions } from './versions.ts';
import { Writer } from './writer.ts';

/** One of Kafka's APIs: a request and its response. */
export interface Api<Request extends Fields = Fields, Response extends Fields = Fields> {
  readonly key: number;
  readonly name: string;
  /** Versions that are declared here; which of them a broker serves is its own matter. */
  readonly versions: VersionRange;
  readonly flexible: VersionRange;
  readonly request: Message<Request>;
  readonly response: Message<Response>;
}

export type RequestOf<A> = A extends Api<infer Request, Fields> ? Decoded<Request> : never;
export type ResponseOf<A> = A extends Api<Fields, infer Response> ? Encodable<Response> : never;

/** Declares an API. `flexible`: the versions with compact lengths and tagged fields (KIP-482), both in the header and in the bodies. */
export function defineApi<const Request extends Fields, const Response extends Fields>(declaration: {
  readonly key: number;
  readonly name: string;
  readonly versions: Versions;
  readonly flexible: Versions | 'none';
  readonly request: Request;
  readonly response: Response;
}): Api<Request, Response> {
  const flexible = parseVersions(declaration.flexible);
  return {
    key: declaration.key,
    name: declaration.name,
    versions: parseVersions(declaration.versions),
    flexible,
    request: new Message(declaration.request, flexible),
    response: new Message(declaration.response, flexible),
  };
}

/** What every request begins with, whatever else it holds. */
export interface RequestStart {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
}

export function readRequestStart(reader: Reader): RequestStart {
  return { apiKey: reader.int16(), apiVersion: reader.int16(), correlationId: reader.int32() };
}

/** The rest of the request header: version 1, or 2 in flexible versions. The client id is never compact. */
export function readClientId(reader: Reader, isFlexible: boolean): string | null {
  const clientId = reader.string(reader.int16());
  if (isFlexible) skipTags(reader);
  return clientId;
}

const apiVersionsKey = 18;

/** ApiVersions is answered with a header of version 0 always, so that a client which does not know the broker can read it. */
export function hasFlexibleResponseHeader(api: Api, version: number): boolean {
  return api.key !== apiVersionsKey && includesVersion(api.flexible, version);
}

const shared = new Writer();

/** A whole response with its length: chunks to write one after the other. Throws `ProtocolError`. */
export function encodeResponse<Response extends Fields>(
  api: Api<Fields, Response>,
  version: number,
  correlationId: number,
  response: Encodable<Response>,
): Uint8Array[] {
  return framed((writer) => {
    writer.int32(correlationId);
    if (hasFlexibleResponseHeader(api as unknown as Api, version)) writer.unsignedVarint(0);
    api.response.encode(writer, version, response);
  });
}

/** A whole request with its length, as a client sends it. */
export function encodeRequest<Request extends Fields>(
  api: Api<Request, Fields>,
  version: number,
  correlationId: number,
  clientId: string | null,
  request: Encodable<Request>,
): Uint8Array[] {
  return framed((writer) => {
    writer.int16(api.key);
    writer.int16(version);
    writer.int32(correlationId);
    writer.string(clientId, false);
    if (includesVersion(api.flexible, version)) writer.unsignedVarint(0);
    api.request.encode(writer, version, request);
  });
}

/** A response without its length, as a client reads it. Throws `ProtocolError`. */
export function decodeResponse<Response extends Fields>(
  api: Api<Fields, Response>,
  version: number,
  frame: Uint8Array,
): { readonly correlationId: number; readonly response: Decoded<Response> } {
  const reader = new Reader(frame);
  const correlationId = reader.int32();
  if (hasFlexibleResponseHeader(api as unknown as Api, version)) skipTags(reader);
  const response = api.response.decode(reader, version);
  reader.finish();
  return { correlationId, response };
}

function framed(write: (writer: Writer) => void): Uint8Array[] {
  try {
    shared.int32(0);
    write(shared);
    return shared.finishFrame();
  } catch (error) {
    shared.discard();
    throw error;
  }
}

function skipTags(reader: Reader): void {
  const count = reader.unsignedVarint();
  if (count > reader.remaining) throw new ProtocolError('truncated', `${count} tagged fields in the header`);
  for (let i = 0; i < count; i++) {
    reader.unsignedVarint();
    reader.skip(reader.unsignedVarint());
  }
}
