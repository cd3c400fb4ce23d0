/** `npm run bench [-- --json FILE] [--only NAME]`: starts clusters of its own and prints figures beside the machine's limits. */
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { measureDisk } from './limits/disk.ts';
import { measureRpc } from './limits/rpc.ts';
import { measureTcp } from './limits/tcp.ts';
import { type Figure, formatTable } from './report.ts';
import { benchCoordinator } from './workloads/coordinator.ts';
import { benchFailover } from './workloads/failover.ts';
import { benchGroups } from './workloads/groups.ts';
import { benchKafka } from './workloads/kafka.ts';
import { benchLatency } from './workloads/latency.ts';
import { benchPartitions } from './workloads/partitions.ts';
import { benchMemory, benchSdk } from './workloads/sdk.ts';
import { benchStart } from './workloads/start.ts';
import { benchThroughput } from './workloads/throughput.ts';

/** What the machine itself does, beside which every figure stands. */
export interface Limits {
  /** Bytes per second. */
  readonly tcp: number;
  readonly rpc: number;
  readonly append: number;
  readonly appendAndSync: number;
  /** Milliseconds. */
  readonly sync50: number;
  readonly sync99: number;
  readonly rpcRoundTrip50: number;
}

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    /** Of `memory`: ten for the record. */
    minutes: { type: 'string', default: '1' },
  },
});
const benches: Readonly<Record<string, (limits: Limits) => Promise<Figure[]>>> = {
  start: benchStart,
  throughput: benchThroughput,
  latency: benchLatency,
  coordinator: benchCoordinator,
  failover: benchFailover,
  groups: benchGroups,
  kafka: benchKafka,
  partitions: benchPartitions,
  sdk: benchSdk,
  memory: () => benchMemory(Number(values.minutes)),
};

if (values.only !== undefined && benches[values.only] === undefined) {
  console.error(`unknown bench '${values.only}'; there are ${Object.keys(benches).join(', ')}`);
  process.exit(1);
}

const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

progress("the machine's limits …");
const [tcp, disk, rpc] = [await measureTcp(), await measureDisk(), await measureRpc()];
const limits: Limits = { tcp, ...disk, rpc: rpc.bytesPerSecond, rpcRoundTrip50: rpc.roundTripMs };
const figures: Figure[] = [
  { name: 'limit: loopback TCP, 128 KiB writes', value: limits.tcp / 1e6, unit: 'MB/s' },
  { name: 'limit: gRPC stream, 128 KiB messages', value: limits.rpc / 1e6, unit: 'MB/s' },
  { name: 'limit: gRPC stream round trip, p50', value: limits.rpcRoundTrip50, unit: 'ms' },
  { name: 'limit: file append, 128 KiB writes', value: limits.append / 1e6, unit: 'MB/s' },
  { name: 'limit: file append, fdatasync each MiB', value: limits.appendAndSync / 1e6, unit: 'MB/s' },
  { name: 'limit: 4 KiB append + fdatasync, p50', value: limits.sync50, unit: 'ms' },
  { name: 'limit: 4 KiB append + fdatasync, p99', value: limits.sync99, unit: 'ms' },
];
for (const [name, bench] of Object.entries(benches)) {
  if (values.only !== undefined && values.only !== name) continue;
  progress(`${name} …`);
  figures.push(...(await bench(limits)));
}
progress('');
console.log(formatTable(figures));
if (values.json !== undefined) {
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, memoryBytes: totalmem(), node: process.version };
  writeFileSync(values.json, `${JSON.stringify({ machine, figures }, null, 2)}\n`);
}
