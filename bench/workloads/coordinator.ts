import { coordinatorAddresses } from '@naru/cli';
import { openSession } from '@naru/coordinator-client';
import { createNodeRuntime } from '@naru/runtime/node';
import { startLocalCluster } from '../local-cluster.ts';
import type { Limits } from '../main.ts';
import { type Figure, quantile } from '../report.ts';

const warmUp = 2_000;
const sequential = 2_000;
const pipelined = 30_000;
const inFlight = 500;

/** Writes through three coordinators: one after the other, and many under way. */
export async function benchCoordinator(limits: Limits): Promise<Figure[]> {
  await using cluster = await startLocalCluster({ brokers: 0 });
  const session = await openSession(createNodeRuntime(), { servers: coordinatorAddresses(cluster.layout) });
  const data = Buffer.alloc(100, 'x');
  await session.write([{ kind: 'create', path: '/bench', data }]);
  const set = () => session.write([{ kind: 'set-data', path: '/bench', data }]);

  for (let i = 0; i < warmUp; i++) await set();
  const latencies = new Float64Array(sequential);
  for (let i = 0; i < sequential; i++) {
    const began = performance.now();
    await set();
    latencies[i] = performance.now() - began;
  }
  latencies.sort();

  let left = pipelined;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (left-- > 0) await set();
    }),
  );
  const perSecond = (pipelined / (performance.now() - began)) * 1000;
  await session.close();
  const floor = limits.sync50 + limits.rpcRoundTrip50;
  return [
    {
      name: 'coordinator: pipelined sets',
      value: perSecond,
      unit: 'writes/s',
      aim: { value: 10_000, bound: 'at least' },
    },
    {
      name: 'coordinator: sequential set, p50',
      value: quantile(latencies, 0.5),
      unit: 'ms',
      aim: { value: 0.7, bound: 'at most' },
      limit: { name: 'one fdatasync + one round trip', value: floor },
    },
    { name: 'coordinator: sequential set, p99', value: quantile(latencies, 0.99), unit: 'ms' },
  ];
}
