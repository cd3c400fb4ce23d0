import { formatTable } from './report.ts';
import { benchCoordinator } from './workloads/coordinator.ts';

console.log(formatTable(await benchCoordinator({ sync50: 0.25, rpcRoundTrip50: 0.085 } as never)));
