import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Api, hasFlexibleResponseHeader, readClientId, readRequestStart } from './api.ts';
import { allApis } from './messages/index.ts';
import { Reader } from './reader.ts';
import { includesVersion } from './versions.ts';
import { Writer } from './writer.ts';

const directory = new URL('../vectors/', import.meta.url);

interface Exchange {
  readonly api: string;
  readonly version: number;
  readonly request: string;
  readonly response: string;
}

const vectors = readdirSync(directory)
  .filter((file) => file.endsWith('.json'))
  .flatMap((file) =>
    (JSON.parse(readFileSync(new URL(file, directory), 'utf8')) as Exchange[]).map((exchange) => ({
      ...exchange,
      client: file.replace('.json', ''),
      declared: allApis.find(({ name }) => name === exchange.api) as Api,
    })),
  )
  .filter(({ declared }) => declared !== undefined);

/** The same message written by us. */
function again(api: Api, direction: 'request' | 'response', version: number, value: object): string {
  const writer = new Writer();
  api[direction].encode(writer, version, value);
  return Buffer.concat(writer.finish()).toString('hex');
}

describe.each(vectors)('$client: $api v$version', ({ declared, version, request, response }) => {
  test('its request is read to the last byte, and written as the client wrote it', () => {
    const reader = new Reader(Buffer.from(request, 'hex'));
    expect(readRequestStart(reader)).toMatchObject({ apiKey: declared.key, apiVersion: version });
    readClientId(reader, includesVersion(declared.flexible, version));
    const body = request.slice(reader.position * 2);
    const value = declared.request.decode(reader, version);
    expect(reader.remaining).toBe(0);
    expect(again(declared, 'request', version, value)).toBe(body);
  });

  test('the response that it took is the one that we write', () => {
    const bytes = Buffer.from(response, 'hex');
    const reader = new Reader(bytes, hasFlexibleResponseHeader(declared, version) ? 5 : 4);
    const body = response.slice(reader.position * 2);
    const value = declared.response.decode(reader, version);
    expect(reader.remaining).toBe(0);
    expect(again(declared, 'response', version, value)).toBe(body);
  });
});
