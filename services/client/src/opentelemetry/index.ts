/**
 * OpenTelemetry for producers and consumers of this process: `instrument()` once at the start, `traced(handler)` around what handles records. Needs
 * `@opentelemetry/api`; without an SDK registered there it does nothing.
 *
 * @module @naru/client/opentelemetry
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createNodeRuntime } from '@naru/runtime/node';
import type { DiagnosticsChannels } from '../diagnostics/channels.ts';
import { ConsumerTelemetry } from './consumer-telemetry.ts';
import { createInstruments, type TelemetryOptions } from './instruments.ts';
import { ProducerTelemetry } from './producer-telemetry.ts';

export type { TelemetryOptions } from './instruments.ts';
export { traced } from './traced.ts';

/**
 * Makes spans and metrics of what producers and consumers do, from now on and until the function that it returns is called. Call it once, after the OpenTelemetry
 * SDK was registered.
 */
export function instrument(options: TelemetryOptions = {}): () => void {
  const instruments = createInstruments(options);
  const { clock } = createNodeRuntime();
  const producers = new ProducerTelemetry(instruments, clock);
  const consumers = new ConsumerTelemetry(instruments, clock);
  const endings = [
    listen('naru:producer:send', (message) => producers.onSend(message)),
    listen('naru:producer:append', (message) => producers.onAppend(message)),
    listen('naru:producer:batch:end', (message) => producers.onBatchEnd(message)),
    listen('naru:consumer:receive', (message) => consumers.onReceive(message)),
    listen('naru:consumer:commit', (message) => consumers.onCommit(message)),
  ];
  return () => {
    for (const end of endings) end();
  };
}

function listen<Name extends keyof DiagnosticsChannels>(
  name: Name,
  onMessage: (message: DiagnosticsChannels[Name]) => void,
): () => void {
  const listener = (message: unknown): void => onMessage(message as DiagnosticsChannels[Name]);
  subscribe(name, listener);
  return () => void unsubscribe(name, listener);
}
