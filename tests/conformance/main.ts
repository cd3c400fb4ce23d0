/**
 * Clients that nobody here wrote, against a cluster of real processes: `npm run test:conformance [-- --only kcat,java]`.
 *
 * Clients are installed outside the project when they are asked for. One that cannot be had is reported as skipped, never as passed. Ends with 1 when a check failed.
 */
import { parseArgs } from 'node:util';
import { Client } from '@naru/client';
import { startLocalCluster } from '../../bench/local-cluster.ts';
import { type Check, runChecks } from './checks.ts';
import { type ForeignClient, Unavailable } from './foreign-client.ts';
import { javaTools } from './java-tools.ts';
import { kcat } from './kcat.ts';
import { scriptClients } from './script-clients.ts';

const all: readonly ForeignClient[] = [kcat, ...scriptClients, javaTools('4.1.0')];

type Report =
  | { readonly client: string; readonly version: string; readonly checks: readonly Check[] }
  | { readonly client: string; readonly skipped: string };

const { values } = parseArgs({ options: { only: { type: 'string' }, verbose: { type: 'boolean' } } });
const wanted = values.only?.split(',');
const clients = all.filter(({ name }) => wanted?.some((prefix) => name.startsWith(prefix)) ?? true);
if (clients.length === 0) {
  console.error(`no such client: ${values.only}; there are ${all.map(({ name }) => name).join(', ')}`);
  process.exit(1);
}

const reports: Report[] = [];
{
  await using cluster = await startLocalCluster();
  await using sdk = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  for (const client of clients) {
    const report = await examine(client, sdk, cluster.bootstrapServers);
    print(report);
    reports.push(report);
  }
}
summarize();

async function examine(client: ForeignClient, sdk: Client, servers: string): Promise<Report> {
  try {
    const prepared = await client.prepare();
    const [version] = await prepared.run(servers, [{ do: 'version' }]);
    const checks = await runChecks(client.name, prepared, sdk, servers);
    return {
      client: client.name,
      version: version !== undefined && 'value' in version ? String(version.value) : '?',
      checks,
    };
  } catch (error) {
    if (error instanceof Unavailable) return { client: client.name, skipped: error.message };
    const detail = error instanceof Error ? error.message : String(error);
    return { client: client.name, version: '?', checks: [{ name: 'runs', outcome: { kind: 'failed', detail } }] };
  }
}

function print(report: Report): void {
  if ('skipped' in report) {
    console.log(`\n${report.client}: SKIPPED - ${report.skipped}`);
    return;
  }
  console.log(`\n${report.client} ${report.version}`);
  for (const { name, outcome } of report.checks) {
    const detail = outcome.kind === 'passed' ? '' : ` - ${outcome.detail}`;
    console.log(`  ${outcome.kind.padEnd(11)} ${name}${detail}`);
  }
}

function summarize(): void {
  console.log('\nclient                                        passed  failed  unsupported');
  let failed = 0;
  for (const report of reports) {
    if ('skipped' in report) {
      console.log(`${report.client.padEnd(45)} skipped`);
      continue;
    }
    const count = (kind: string): number => report.checks.filter(({ outcome }) => outcome.kind === kind).length;
    failed += count('failed');
    const row = [count('passed'), count('failed'), count('unsupported')].map((n) => String(n).padStart(6));
    console.log(`${`${report.client} ${report.version}`.padEnd(45)} ${row.join('  ')}`);
  }
  if (failed > 0) process.exitCode = 1;
}
