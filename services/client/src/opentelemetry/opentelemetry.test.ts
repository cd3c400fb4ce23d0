import { errorCodes } from '@naru/kafka-protocol';
import {
  context,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ConsumerRecord } from '../consumer/consumer-record.ts';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';
import { ScriptedGroups } from '../scripted/scripted-groups.ts';
import { instrument, traced } from './index.ts';

const spans = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
const tracer = tracerProvider.getTracer('application');

let metricExporter: InMemoryMetricExporter;
let meterProvider: MeterProvider;
let stop: () => void;

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});

afterAll(() => {
  context.disable();
});

beforeEach(() => {
  metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: metricExporter, exportIntervalMillis: 3_600_000 });
  meterProvider = new MeterProvider({ readers: [reader] });
  stop = instrument({ tracerProvider, meterProvider });
});

afterEach(async () => {
  stop();
  await meterProvider.shutdown();
  spans.reset();
});

async function setUp() {
  const groups = new ScriptedGroups();
  const cluster = await ScriptedCluster.start(1, 1, (id) => groups.services(id));
  groups.attach(cluster.simulation);
  cluster.addTopic('t', 2);
  const client = cluster.client();
  const producer = client.producer({ clientId: 'p' });
  const read = async (): Promise<ConsumerRecord[]> => {
    const consumer = client.consumer({ autoOffsetReset: 'earliest', clientId: 'c' });
    consumer.assign([{ topic: 't', partition: 0 }]);
    return cluster.run(consumer.poll(1_000));
  };
  return { cluster, client, producer, read };
}

const called = (name: string): ReadableSpan[] => spans.getFinishedSpans().filter((span) => span.name === name);
const linkedTo = (span: ReadableSpan | undefined): string[] => (span?.links ?? []).map((link) => link.context.spanId);
const traceParentOf = (record: ConsumerRecord | undefined): string =>
  String(record?.headers.find(([name]) => name === 'traceparent')?.[1]);
const parentFor = ({ traceId, spanId }: SpanContext): string => `00-${traceId}-${spanId}-01`;

/** Within a span of the application. */
function inSpan<T>(name: string, action: () => T): { result: T; span: SpanContext } {
  const span = tracer.startSpan(name, {}, ROOT_CONTEXT);
  const result = context.with(trace.setSpan(ROOT_CONTEXT, span), action);
  span.end();
  return { result, span: span.spanContext() };
}

describe('producer', () => {
  test('one span for a batch, linked to the spans in which its records were sent; each record names its own', async () => {
    const { cluster, producer, read } = await setUp();
    const send = (value: string) => () => producer.send({ topic: 't', partition: 0, value });
    const one = inSpan('one', send('1'));
    const two = inSpan('two', send('2'));
    const outside = send('3')();
    await cluster.run(Promise.all([one.result, two.result, outside]));
    const [batch, ...others] = called('send t');
    expect(others).toEqual([]);
    expect(batch).toMatchObject({
      kind: SpanKind.PRODUCER,
      parentSpanContext: { spanId: one.span.spanId },
      attributes: {
        'messaging.system': 'kafka',
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'messaging.destination.name': 't',
        'messaging.destination.partition.id': '0',
        'messaging.client.id': 'p',
        'messaging.batch.message_count': 3,
      },
    });
    expect(linkedTo(batch)).toEqual([one.span.spanId, two.span.spanId]);
    const own = (batch as ReadableSpan).spanContext();
    expect((await read()).map(traceParentOf)).toEqual([parentFor(one.span), parentFor(two.span), parentFor(own)]);
  });

  test('a traceparent of the application stays as it is, and is linked to', async () => {
    const { cluster, producer, read } = await setUp();
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await cluster.run(producer.send({ topic: 't', partition: 0, value: '1', headers: { traceparent } }));
    expect(traceParentOf((await read())[0])).toBe(traceparent);
    expect(linkedTo(called('send t')[0])).toEqual(['b'.repeat(16)]);
  });

  test('a batch that fails marks its span with the error class', async () => {
    const { cluster, producer } = await setUp();
    cluster.onProduce = () => ({ kind: 'refuse', code: errorCodes.TOPIC_AUTHORIZATION_FAILED });
    await cluster.run(producer.send({ topic: 't', partition: 0, value: '1' }).catch(() => undefined));
    expect(called('send t')).toMatchObject([
      { status: { code: SpanStatusCode.ERROR }, attributes: { 'error.type': 'TopicAuthorizationError' } },
    ]);
  });

  test('a batch that the broker finds too large ends its span; its halves have their own, linked to the same', async () => {
    const { cluster, producer, read } = await setUp();
    let refusals = 1;
    cluster.onProduce = () =>
      refusals-- > 0 ? { kind: 'refuse', code: errorCodes.MESSAGE_TOO_LARGE } : { kind: 'append' };
    const send = (value: string) => () => producer.send({ topic: 't', partition: 0, value });
    const one = inSpan('one', send('1'));
    const two = inSpan('two', send('2'));
    await cluster.run(Promise.all([one.result, two.result]));
    expect(called('send t').map((span) => [span.attributes['messaging.batch.message_count'], linkedTo(span)])).toEqual([
      [2, [one.span.spanId, two.span.spanId]],
      [1, [one.span.spanId]],
      [1, [two.span.spanId]],
    ]);
    expect((await read()).map(traceParentOf)).toEqual([parentFor(one.span), parentFor(two.span)]);
  });

  test('without an SDK nothing is written into the records', async () => {
    stop();
    stop = instrument();
    const { cluster, producer, read } = await setUp();
    await cluster.run(producer.send({ topic: 't', partition: 0, value: '1' }));
    expect((await read())[0]?.headers).toEqual([]);
  });
});

describe('consumer', () => {
  test('one span for the records of a poll, linked to where they were sent', async () => {
    const { cluster, producer, read } = await setUp();
    const send = () => producer.send({ topic: 't', partition: 0, value: 'v' });
    const sent = inSpan('one', () => Promise.all([send(), send()]));
    await cluster.run(sent.result);
    await read();
    expect(called('poll t')).toMatchObject([
      {
        kind: SpanKind.CLIENT,
        attributes: {
          'messaging.operation.type': 'receive',
          'messaging.client.id': 'c',
          'messaging.batch.message_count': 2,
        },
      },
    ]);
    expect(linkedTo(called('poll t')[0])).toEqual([sent.span.spanId]);
  });

  test('traced: what a handler does belongs to the trace of its record; an error goes through', async () => {
    const { cluster, producer, read } = await setUp();
    const sent = inSpan('request', () => producer.send({ topic: 't', partition: 0, value: 'v' }));
    await cluster.run(sent.result);
    const [record] = (await read()) as [ConsumerRecord];
    const handle = traced(
      async (_record: ConsumerRecord, context: { readonly attempt: number }) => {
        tracer.startSpan('work').end();
        if (context.attempt === 2) throw new RangeError('no');
        return context.attempt;
      },
      { tracerProvider, meterProvider },
    );
    expect(await handle(record, { attempt: 1 })).toBe(1);
    await expect(handle(record, { attempt: 2 })).rejects.toThrow(RangeError);
    const [first, second] = called('process t');
    expect(first).toMatchObject({ kind: SpanKind.CONSUMER, parentSpanContext: { spanId: sent.span.spanId } });
    expect(linkedTo(first)).toEqual([sent.span.spanId]);
    expect(called('work')[0]?.parentSpanContext?.spanId).toBe(first?.spanContext().spanId);
    expect(called('work')[0]?.spanContext().traceId).toBe(sent.span.traceId);
    expect(second).toMatchObject({
      status: { code: SpanStatusCode.ERROR },
      attributes: { 'error.type': 'RangeError' },
    });
  });

  test('traced: a batch is a trace of its own, linked to those of its records', async () => {
    const { cluster, producer, read } = await setUp();
    const sent = inSpan('request', () => producer.send({ topic: 't', partition: 0, value: 'v' }));
    await cluster.run(sent.result);
    const records = await read();
    const handle = traced(
      (batch: { readonly topic: string; readonly partition: number; readonly records: readonly ConsumerRecord[] }) =>
        batch.records.length,
      { tracerProvider },
    );
    expect(await handle({ topic: 't', partition: 0, records })).toBe(1);
    const [span] = called('process t');
    expect(span?.parentSpanContext).toBeUndefined();
    expect(linkedTo(span)).toEqual([sent.span.spanId]);
  });

  test('commits have a span', async () => {
    const { cluster, client } = await setUp();
    const consumer = client.consumer({ groupId: 'g', enableAutoCommit: false });
    consumer.subscribe(['t']);
    await cluster.run(consumer.poll(10_000));
    await cluster.run(consumer.commitSync([{ topic: 't', partition: 0, offset: 0 }]));
    expect(called('commit')).toMatchObject([
      {
        kind: SpanKind.CLIENT,
        attributes: { 'messaging.operation.type': 'settle', 'messaging.consumer.group.name': 'g' },
      },
    ]);
  });
});

test('another propagator of the application is used for what it knows, the traceparent for the rest', async () => {
  propagation.setGlobalPropagator({
    inject: (_context, carrier, setter) => setter.set(carrier, 'x-tenant', 'blue'),
    extract: (extracted) => extracted,
    fields: () => ['x-tenant'],
  });
  try {
    const { cluster, producer, read } = await setUp();
    const sent = inSpan('request', () => producer.send({ topic: 't', partition: 0, value: 'v' }));
    await cluster.run(sent.result);
    const [record] = await read();
    expect(record?.headers.map(([name, value]) => [name, String(value)])).toEqual([
      ['x-tenant', 'blue'],
      ['traceparent', parentFor(sent.span)],
    ]);
  } finally {
    propagation.disable();
  }
});

test('metrics: what was sent, consumed, and how long operations took', async () => {
  const { cluster, producer, read } = await setUp();
  await cluster.run(Promise.all([1, 2, 3].map((n) => producer.send({ topic: 't', partition: 0, value: `${n}` }))));
  const [record] = await read();
  await traced(() => undefined, { meterProvider })(record as ConsumerRecord);
  await meterProvider.forceFlush();
  const metrics = metricExporter.getMetrics().flatMap((one) => one.scopeMetrics.flatMap((scope) => scope.metrics));
  const points = metrics.flatMap(({ descriptor, dataPoints }) =>
    dataPoints.map(({ attributes, value }) => {
      const what = `${descriptor.name} {${descriptor.unit}} ${attributes['messaging.operation.name']}`;
      return [what, typeof value === 'number' ? value : (value as { count: number }).count];
    }),
  );
  expect(Object.fromEntries(points)).toEqual({
    'messaging.client.sent.messages {{message}} send': 3,
    'messaging.client.consumed.messages {{message}} poll': 3,
    'messaging.client.operation.duration {s} send': 1,
    'messaging.client.operation.duration {s} poll': 1,
    'messaging.process.duration {s} process': 1,
  });
});
