import { createNodeRuntime } from '@naru/runtime/node';
import { context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { ConsumerBatch, ConsumerRecord } from '../consumer/consumer-record.ts';
import { errorAttributes, names, operations, placeAttributes } from './attributes.ts';
import { linksTo } from './consumer-telemetry.ts';
import { createInstruments, type Instruments, type TelemetryOptions } from './instruments.ts';
import { extract } from './trace-headers.ts';

/** What a handler handles. */
type Handled =
  | Pick<ConsumerRecord, 'topic' | 'partition' | 'offset' | 'headers'>
  | Pick<ConsumerBatch, 'topic' | 'partition' | 'records'>;

/**
 * The same handler within a span of its own: what it does is traced as part of the record's trace. For `consumer.run`, or around the body of a loop; a batch
 * begins a trace of its own, linked to those of its records. What the handler throws goes through and is noted in the span.
 */
export function traced<Subject extends Handled, Rest extends readonly unknown[], Result>(
  handler: (subject: Subject, ...rest: Rest) => Result,
  options: TelemetryOptions = {},
): (subject: Subject, ...rest: Rest) => Promise<Awaited<Result>> {
  const instruments = createInstruments(options);
  const { clock } = createNodeRuntime();
  return async (subject: Subject, ...rest: Rest): Promise<Awaited<Result>> => {
    const span = beginProcess(instruments, subject);
    const beganMs = clock.monotonicMs();
    let failure: unknown;
    try {
      return (await context.with(trace.setSpan(context.active(), span), () =>
        handler(subject, ...rest),
      )) as Awaited<Result>;
    } catch (error) {
      failure = error ?? new Error('a handler failed with nothing');
      span.setStatus({ code: SpanStatusCode.ERROR, message: String((failure as Error).message ?? failure) });
      span.setAttributes(errorAttributes(failure));
      throw error;
    } finally {
      span.end();
      const attributes = {
        ...instruments.system,
        ...operations.process,
        ...placeAttributes(subject),
        ...errorAttributes(failure),
      };
      instruments.processSeconds.record((clock.monotonicMs() - beganMs) / 1_000, attributes);
    }
  };
}

function beginProcess({ tracer, system }: Instruments, subject: Handled): Span {
  const attributes = { ...system, ...operations.process, ...placeAttributes(subject) };
  const name = `process ${subject.topic}`;
  if ('records' in subject) {
    const { length } = subject.records;
    const own = { ...attributes, [names.recordsCount]: length };
    return tracer.startSpan(
      name,
      { kind: SpanKind.CONSUMER, attributes: own, links: linksTo(subject.records) },
      ROOT_CONTEXT,
    );
  }
  const own = { ...attributes, [names.offset]: Number(subject.offset) };
  const options = { kind: SpanKind.CONSUMER, attributes: own, links: linksTo([subject]) };
  return tracer.startSpan(name, options, extract(subject.headers));
}
