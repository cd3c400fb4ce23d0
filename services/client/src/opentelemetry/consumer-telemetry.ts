import type { Clock } from '@naru/runtime';
import { type Link, ROOT_CONTEXT, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { ConsumedHeader } from '../consumer/consumer-record.ts';
import type { CommitMessage, ReceiveMessage } from '../diagnostics/channels.ts';
import { errorAttributes, names, operations, placeAttributes, readerAttributes } from './attributes.ts';
import type { Instruments } from './instruments.ts';
import { extractSpan } from './trace-headers.ts';

/** More links tell nothing more; it is also what SDKs keep by default. */
const linksMax = 128;

/** One span for the records of one partition that a poll returned, linked to where they were sent; one for each commit. */
export class ConsumerTelemetry {
  readonly #instruments: Instruments;
  readonly #clock: Clock;

  constructor(instruments: Instruments, clock: Clock) {
    this.#instruments = instruments;
    this.#clock = clock;
  }

  onReceive(message: ReceiveMessage): void {
    const { topic, records, sinceMs } = message;
    const { system, tracer, consumedRecords, operationSeconds } = this.#instruments;
    const reader = readerAttributes(message);
    const place = { ...system, ...operations.poll, ...placeAttributes(message) };
    const options = { kind: SpanKind.CLIENT, startTime: sinceMs, links: linksTo(records) };
    const span = tracer.startSpan(`poll ${topic}`, {
      ...options,
      attributes: { ...place, ...reader, [names.recordsCount]: records.length },
    });
    span.end();
    const { [names.clientId]: _, ...group } = reader;
    const dimensions = { ...place, ...group };
    consumedRecords.add(records.length, dimensions);
    operationSeconds.record(Math.max(0, this.#clock.wallMs() - sinceMs) / 1_000, dimensions);
  }

  onCommit(message: CommitMessage): void {
    const { groupId, sinceMs, error } = message;
    const { system, tracer, operationSeconds } = this.#instruments;
    const attributes = { ...system, ...operations.commit, [names.group]: groupId, ...errorAttributes(error) };
    const options = {
      kind: SpanKind.CLIENT,
      startTime: sinceMs,
      attributes: { ...attributes, ...readerAttributes(message) },
    };
    const span = tracer.startSpan('commit', options, ROOT_CONTEXT);
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: String((error as Error).message) });
    span.end();
    operationSeconds.record(Math.max(0, this.#clock.wallMs() - sinceMs) / 1_000, attributes);
  }
}

/** Where records were made, each place once. */
export function linksTo(records: readonly { readonly headers: readonly ConsumedHeader[] }[]): Link[] {
  const links = new Map<string, Link>();
  for (const { headers } of records) {
    if (links.size >= linksMax) break;
    const origin = extractSpan(headers);
    if (origin !== undefined) links.set(origin.spanId, { context: origin });
  }
  return [...links.values()];
}
