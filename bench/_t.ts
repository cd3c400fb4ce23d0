import { benchCoordinator } from './workloads/coordinator.ts'; import { formatTable } from './report.ts';
console.log(formatTable(await benchCoordinator({ sync50: 0.25, rpcRoundTrip50: 0.085 } as never)));
