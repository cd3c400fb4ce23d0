import { brokerMethods, RpcError, type ServiceBinding, stream, unary } from '@naru/rpc';
import type { RequestTable } from '../requests/request-table.ts';
import type { UnaryEntry } from '../requests/unary-entry.ts';
import { FetchStream } from './fetch-stream.ts';
import type { RequestBudget, Source } from './request-budget.ts';
import { RequestStream, type StreamService } from './request-stream.ts';

/** The table as gRPC services of one listener. */
export function clientServices(
  table: RequestTable,
  budget: RequestBudget,
  listener: string,
): readonly ServiceBinding[] {
  return [
    stream(brokerMethods.produce, (opened) => {
      opened.handle(new RequestStream(opened, produceService(table), budget));
    }),
    stream(brokerMethods.fetch, (opened) => {
      opened.handle(new FetchStream(opened, table.fetch, budget));
    }),
    ...unaryServices(table.unary, budget, listener),
  ];
}

/**
 * Requests with one answer. They cannot be paused, so those that come while the broker is full are refused: a client tries again.
 */
export function unaryServices(
  entries: readonly UnaryEntry[],
  budget: RequestBudget,
  listener: string,
): readonly ServiceBinding[] {
  return entries.map(({ method, handle, cost }) =>
    unary(method, async (request, { remote }) => {
      let isRefused = false;
      const call: Source = {
        pause: () => {
          isRefused = true;
        },
        resume: () => {},
      };
      budget.take(cost, call);
      try {
        if (isRefused) throw new RpcError('resource-exhausted', 'the broker has too many requests under way');
        return await handle(request, { host: remote.host, listener });
      } finally {
        budget.forget(call);
        budget.give(cost);
      }
    }),
  );
}

function produceService(
  table: RequestTable,
): StreamService<
  Parameters<RequestTable['produce']['handle']>[0],
  NonNullable<Parameters<Parameters<RequestTable['produce']['handle']>[1]>[0]>
> {
  return {
    cost: table.produceCost,
    serve: (request, done) => table.produce.handle(request, done),
  };
}
