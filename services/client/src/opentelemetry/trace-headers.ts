import type { HeaderEntry } from '@naru/record';
import {
  type Context,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  type TextMapGetter,
  type TextMapSetter,
  trace,
} from '@opentelemetry/api';

/** W3C Trace Context: version, trace, span, flags. Always as long, so that its place can be kept before it is known. */
export const traceParent = 'traceparent';
export const traceParentBytes = 55;

export function formatTraceParent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`;
}

function parseTraceParent(value: string | string[] | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(String(value)) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(span) ? span : undefined;
}

const setter: TextMapSetter<HeaderEntry[]> = {
  set: (headers, name, value) => {
    headers.push([name, Buffer.from(value)]);
  },
};

const getter: TextMapGetter<readonly HeaderEntry[]> = {
  keys: (headers) => headers.map(([name]) => name),
  get: (headers, name) => {
    const value = headers.findLast(([other]) => other.toLowerCase() === name)?.[1];
    return value === null || value === undefined ? undefined : Buffer.from(value).toString('latin1');
  },
};

/** Writes what the application's propagator has to say of this context, and where it has none, the `traceparent`. */
export function inject(context: Context, headers: HeaderEntry[]): void {
  propagation.inject(context, headers, setter);
  const span = trace.getSpanContext(context);
  if (span === undefined || !isSpanContextValid(span) || hasTrace(headers)) return;
  headers.push([traceParent, Buffer.from(formatTraceParent(span))]);
}

/** The context in which a record was made; the root where its headers do not tell. */
export function extract(headers: readonly HeaderEntry[]): Context {
  if (headers.length === 0) return ROOT_CONTEXT;
  const found = propagation.extract(ROOT_CONTEXT, headers, getter);
  if (trace.getSpanContext(found) !== undefined) return found;
  const span = parseTraceParent(getter.get(headers, traceParent));
  return span === undefined ? found : trace.setSpanContext(found, span);
}

export function extractSpan(headers: readonly HeaderEntry[]): SpanContext | undefined {
  return trace.getSpanContext(extract(headers));
}

export function hasTrace(headers: readonly HeaderEntry[]): boolean {
  return headers.some(([name]) => name.toLowerCase() === traceParent);
}
