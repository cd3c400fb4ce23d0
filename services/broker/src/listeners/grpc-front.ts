import { errorCodes, kafkaError } from '@naru/kafka-protocol';
import { type broker, brokerMethods, RpcError, type RpcStream, type ServiceBinding, stream, unary } from '@naru/rpc';
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
      opened.handle(new RequestStream(opened, produceService(table, opened), budget));
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

/** With acks=0 a refusal ends the stream, as Kafka closes the connection: else a client would write to a former leader until its metadata is old. */
function produceService(
  { produce, produceCost }: RequestTable,
  opened: RpcStream<broker.ProduceResponse, broker.ProduceRequest>,
): StreamService<broker.ProduceRequest, broker.ProduceResponse> {
  return {
    cost: produceCost,
    serve: (request, done) => {
      if (request.acks !== 0) return produce.handle(request, done);
      const settled = (response: broker.ProduceResponse | undefined): void => {
        const refused = response?.partitions.find(({ errorCode }) => errorCode !== errorCodes.NONE);
        if (refused !== undefined) {
          const { topic, partition, errorCode } = refused;
          const what = `${topic}-${partition} with acks=0: ${kafkaError(errorCode).name}`;
          opened.fail(new RpcError('failed-precondition', what));
        }
        done(undefined);
      };
      produce.handle({ ...request, acks: 1 }, settled, true);
    },
  };
}
