import type { HeaderEntry } from '@naru/record';
import type { Clock } from '@naru/runtime';
import {
  type Context,
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
} from '@opentelemetry/api';
import type { AppendMessage, BatchEndMessage, DiagnosedBatch, SendMessage } from '../diagnostics/channels.ts';
import { errorAttributes, names, operations, placeAttributes } from './attributes.ts';
import type { Instruments } from './instruments.ts';
import { extractSpan, formatTraceParent, hasTrace, inject, traceParent, traceParentBytes } from './trace-headers.ts';

/** More links tell nothing more; it is also what SDKs keep by default. */
const linksMax = 128;

/** A record between `send` and its batch. */
interface SentRecord {
  readonly context: Context;
  /** Where the batch's span is to be named; undefined where the record names a span already. */
  readonly place: Buffer | undefined;
}

interface OpenBatch {
  readonly span: Span;
  readonly beganMs: number;
  readonly linked: Set<string>;
}

/**
 * One span per batch, from its first record to its acknowledgement. A record's `traceparent` names the span in which it was sent, and the batch's
 * span is linked to it; a record that was sent outside of any span names the batch's. What the application has put into the headers itself
 * stays as it is.
 */
export class ProducerTelemetry {
  readonly #instruments: Instruments;
  readonly #clock: Clock;
  readonly #sent = new WeakMap<readonly HeaderEntry[], SentRecord>();
  readonly #open = new WeakMap<DiagnosedBatch, OpenBatch>();

  constructor(instruments: Instruments, clock: Clock) {
    this.#instruments = instruments;
    this.#clock = clock;
  }

  onSend({ headers }: SendMessage): void {
    const active = context.active();
    let place: Buffer | undefined;
    if (!hasTrace(headers)) {
      inject(active, headers);
      if (!hasTrace(headers)) {
        place = Buffer.alloc(traceParentBytes);
        headers.push([traceParent, place]);
      }
    }
    this.#sent.set(headers, { context: active, place });
  }

  onAppend({ batch, headers }: AppendMessage): void {
    const sent = this.#sent.get(headers);
    this.#sent.delete(headers);
    const open = this.#open.get(batch) ?? this.#begin(batch, sent?.context ?? ROOT_CONTEXT);
    if (sent?.place === undefined) link(open, headers);
    else fill(sent.place, open.span.spanContext(), headers);
  }

  onBatchEnd({ batch, recordsCount, failedAttempts, outcome, baseOffset, error }: BatchEndMessage): void {
    const open = this.#open.get(batch);
    if (open === undefined) return;
    this.#open.delete(batch);
    const { span, beganMs } = open;
    span.setAttributes({ [names.recordsCount]: recordsCount, ...errorAttributes(error) });
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    if (baseOffset !== undefined && baseOffset >= 0n) span.setAttribute(names.offset, Number(baseOffset));
    span.end();
    // The parts of a divided batch are batches of their own.
    if (outcome === 'divided') return;
    const { system, sentRecords, operationSeconds } = this.#instruments;
    const attributes = { ...system, ...operations.send, ...placeAttributes(batch), ...errorAttributes(error) };
    operationSeconds.record((this.#clock.monotonicMs() - beganMs) / 1_000, attributes);
    const neverLeft = error?.outcome === 'definite' && failedAttempts === 0;
    if (!neverLeft) sentRecords.add(recordsCount, attributes);
  }

  #begin(batch: DiagnosedBatch, parent: Context): OpenBatch {
    const { system, tracer } = this.#instruments;
    const attributes = { ...system, ...operations.send, ...placeAttributes(batch), [names.clientId]: batch.clientId };
    const span = tracer.startSpan(`send ${batch.topic}`, { kind: SpanKind.PRODUCER, attributes }, parent);
    const open = { span, beganMs: this.#clock.monotonicMs(), linked: new Set<string>() };
    this.#open.set(batch, open);
    return open;
  }
}

/** Without an SDK there is no span to name. */
function fill(place: Buffer, span: SpanContext, headers: HeaderEntry[]): void {
  if (isSpanContextValid(span)) place.write(formatTraceParent(span), 'latin1');
  else
    headers.splice(
      headers.findIndex(([, value]) => value === place),
      1,
    );
}

function link({ span, linked }: OpenBatch, headers: readonly HeaderEntry[]): void {
  if (linked.size >= linksMax) return;
  const origin = extractSpan(headers);
  if (origin === undefined || linked.has(origin.spanId)) return;
  linked.add(origin.spanId);
  span.addLink({ context: origin });
}
