import {
  type Attributes,
  type Counter,
  type Histogram,
  type MeterProvider,
  metrics,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';

/** Where spans and metrics go. */
export interface TelemetryOptions {
  /** Left out: the global one. */
  readonly tracerProvider?: TracerProvider | undefined;
  /** Left out: the global one. */
  readonly meterProvider?: MeterProvider | undefined;
  /** `messaging.system` of spans and metrics; default `kafka`, which dashboards know. */
  readonly system?: string | undefined;
}

const scope = '@naru/client';
/** Seconds; those that the conventions ask for. */
const durationBoundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** The tracer and the metrics of the SDK. */
export interface Instruments {
  readonly system: Attributes;
  readonly tracer: Tracer;
  readonly sentRecords: Counter;
  readonly consumedRecords: Counter;
  /** Of a batch from its first record to its acknowledgement, of a poll, of a commit. */
  readonly operationSeconds: Histogram;
  readonly processSeconds: Histogram;
}

export function createInstruments(options: TelemetryOptions): Instruments {
  const meter = (options.meterProvider ?? metrics).getMeter(scope);
  const duration = { unit: 's', advice: { explicitBucketBoundaries: durationBoundaries } };
  return {
    system: { 'messaging.system': options.system ?? 'kafka' },
    tracer: (options.tracerProvider ?? trace).getTracer(scope),
    sentRecords: meter.createCounter('messaging.client.sent.messages', {
      unit: '{message}',
      description: 'Records that a producer sent to a broker',
    }),
    consumedRecords: meter.createCounter('messaging.client.consumed.messages', {
      unit: '{message}',
      description: 'Records that were delivered to the application',
    }),
    operationSeconds: meter.createHistogram('messaging.client.operation.duration', {
      ...duration,
      description: 'Duration of an operation that a producer or consumer began',
    }),
    processSeconds: meter.createHistogram('messaging.process.duration', {
      ...duration,
      description: 'Duration of handling a record or a batch',
    }),
  };
}
