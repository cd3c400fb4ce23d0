import type { Api, Decoded, Encodable, Fields, VersionRange } from '@naru/kafka-protocol';

/** What becomes of a request. */
export type KafkaAnswer<Response> =
  | { readonly kind: 'response'; readonly response: Response }
  /** Nothing is sent: acks=0. */
  | { readonly kind: 'none' }
  /** The connection ends: how Kafka tells a producer with acks=0 that something failed. */
  | { readonly kind: 'close'; readonly reason: string };

/** Who asks. */
export interface KafkaCaller {
  readonly host: string;
  /** On which the request came: its addresses are those that the caller can use. */
  readonly listener: string;
  readonly clientId: string;
}

export interface KafkaCall<Request, Response> {
  readonly request: Request;
  readonly caller: KafkaCaller;
  readonly version: number;
  /** The broker asks for an answer no larger than this (the first batch comes anyway): too many clients do not take what they asked for. */
  readonly answerBytesMax: number;
  /** Called once, possibly before `serve` returns. */
  readonly answer: (answer: KafkaAnswer<Response>) => void;
}

/** An API that this broker serves on Kafka's protocol: the only place that says which versions, at what cost, and what a caller must be allowed. */
export interface KafkaApi<Request = never, Response = never> {
  readonly api: Api;
  /** Advertised and served. */
  readonly versions: VersionRange;
  /** Bytes that a request holds until it is answered, besides itself; counted against `queued.max.request.bytes`. */
  readonly costBytes: number;
  /**
   * So many may be under way at once on a connection, begun while earlier requests still wait for their answers. 0: it runs alone, as every request does in
   * Kafka, so that what comes after a change sees the change.
   */
  readonly overlappingMax: number;
  /** What an authorizer will ask for: operation and resource in Kafka's words. */
  readonly authorization: string;
  /** May return a function that gives the request up, after which `answer` is not called. */
  readonly serve: (call: KafkaCall<Request, Response>) => (() => void) | undefined;
}

const smallCostBytes = 4_096;

export interface KafkaApiOptions {
  readonly versions: readonly [min: number, max: number];
  readonly authorization: string;
  readonly costBytes?: number;
  readonly overlappingMax?: number;
}

/** An API whose handler answers by callback. */
export function kafkaApi<Request extends Fields, Response extends Fields>(
  api: Api<Request, Response>,
  options: KafkaApiOptions,
  serve: (call: KafkaCall<Decoded<Request>, Encodable<Response>>) => (() => void) | undefined,
): KafkaApi {
  const [min, max] = options.versions;
  return {
    api: api as unknown as Api,
    versions: { min, max },
    costBytes: options.costBytes ?? smallCostBytes,
    overlappingMax: options.overlappingMax ?? 0,
    authorization: options.authorization,
    serve: serve as unknown as KafkaApi['serve'],
  };
}

/** An API whose handler returns its response. */
export function answeredApi<Request extends Fields, Response extends Fields>(
  api: Api<Request, Response>,
  options: KafkaApiOptions & { readonly onError: (error: unknown, name: string) => void },
  handle: (
    request: Decoded<Request>,
    version: number,
    caller: KafkaCaller,
  ) => Encodable<Response> | Promise<Encodable<Response>>,
): KafkaApi {
  return kafkaApi(api, options, ({ request, version, caller, answer }) => {
    const failed = (error: unknown): void => {
      options.onError(error, api.name);
      answer({ kind: 'close', reason: `${api.name} failed unexpectedly` });
    };
    try {
      const result = handle(request, version, caller);
      if (result instanceof Promise) result.then((response) => answer({ kind: 'response', response }), failed);
      else answer({ kind: 'response', response: result });
    } catch (error) {
      failed(error);
    }
    return undefined;
  });
}
