/**
 * Clients that nobody here wrote, against a cluster of real processes: `npm run test:conformance [-- --only kcat,java] [--minutes 7]`.
 *
 * Clients are installed outside the project when they are asked for. One that cannot be had, or for which no time is left, is reported as skipped, never as passed.
 * Ends with 1 when a check failed. Writes its counts to $NARU_TEST_REPORT (scripts/ci.ts).
 */
import { writeFileSync } from 'node:fs';
import { Client } from '@naru/client';
import { startLocalCluster } from '../../bench/local-cluster.ts';
import { parseOptions, positiveNumber, runCommand, UsageError } from '../command-line.ts';
import { type Check, CheckList } from './check-list.ts';
import { runChecks } from './checks.ts';
import { type ForeignClient, Unavailable } from './foreign-client.ts';
import { javaClient, KafkaRelease } from './java-client.ts';
import { suitesOf } from './java-suites.ts';
import { javaTools } from './java-tools.ts';
import { kcat } from './kcat.ts';
import { scriptClients } from './script-clients.ts';
import type { Suite, World } from './suite.ts';

const newest = new KafkaRelease('4.3.0');
const older = new KafkaRelease('3.9.2');
/** In the order in which they run: what is quick, and different from the rest, comes first. */
const all: readonly Suite[] = [
  ...[kcat, ...scriptClients, javaClient(newest)].map(asSuite),
  ...suitesOf(newest),
  asSuite(javaClient(older)),
  ...suitesOf(older),
  ...[javaTools(newest), javaTools(older)].map(asSuite),
];

type Report =
  | { readonly name: string; readonly version: string; readonly checks: readonly Check[]; readonly seconds: number }
  | { readonly name: string; readonly skipped: string };

const usage = `npm run test:conformance -- [--only kcat,java] [--minutes 7] [--list]
   --only        clients whose name begins with one of these
   --minutes     a client for which no time is left is skipped
   --list        print the clients
Exit status 1: a check failed. 2: wrong arguments.`;

interface Options {
  readonly suites: readonly Suite[];
  readonly minutes: number;
}

await runCommand(async () => {
  const values = parseOptions(process.argv.slice(2), {
    only: { type: 'string' },
    minutes: { type: 'string' },
    list: { type: 'boolean' },
    help: { type: 'boolean' },
  });
  const suites = chosen(values.only);
  if (values.help) console.log(usage);
  else if (values.list) for (const { name } of suites) console.log(name);
  if (values.help || values.list) return 0;
  const minutes = values.minutes === undefined ? Number.POSITIVE_INFINITY : positiveNumber('minutes', values.minutes);
  return summarize(await examineAll({ suites, minutes })) ? 0 : 1;
});

function chosen(only: string | undefined): readonly Suite[] {
  const prefixes = only?.split(',') ?? [''];
  const unknown = prefixes.filter((prefix) => !all.some(({ name }) => name.startsWith(prefix)));
  if (unknown.length > 0) throw new UsageError(`no client is called like '${unknown.join(`', '`)}'; --list names them`);
  return all.filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix)));
}

async function examineAll({ suites, minutes }: Options): Promise<readonly Report[]> {
  const endMs = performance.now() + minutes * 60_000;
  const reports: Report[] = [];
  // Many groups form here; the default of 3 s is for those whose members start one after the other.
  await using cluster = await startLocalCluster({ brokerSettings: { 'group.initial.rebalance.delay.ms': '500' } });
  await using sdk = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  const world = { sdk, servers: cluster.bootstrapServers, dataDirectory: cluster.dataDirectory };
  for (const suite of suites) {
    const isInTime = performance.now() <= endMs;
    const report = isInTime
      ? await examine(suite, world)
      : { name: suite.name, skipped: `no time is left of ${minutes} minutes` };
    print(report);
    reports.push(report);
  }
  return reports;
}

function asSuite(client: ForeignClient): Suite {
  return {
    name: client.name,
    run: async ({ sdk, servers }, list) => {
      const prepared = await client.prepare();
      const [version] = await prepared.run(servers, [{ do: 'version' }]);
      await runChecks(client.name, prepared, { sdk, servers }, list);
      return version !== undefined && 'value' in version ? String(version.value) : '?';
    },
  };
}

async function examine({ name, run }: Suite, world: World): Promise<Report> {
  const began = performance.now();
  const list = new CheckList();
  let version = '';
  try {
    version = await run(world, list);
  } catch (error) {
    if (error instanceof Unavailable && list.checks.length === 0) return { name, skipped: error.message };
    list.verdict('goes on to its end', false, error instanceof Error ? error.message : String(error));
  }
  return { name, version, checks: list.checks, seconds: Math.round((performance.now() - began) / 1000) };
}

function print(report: Report): void {
  if ('skipped' in report) {
    console.log(`\n${report.name}: SKIPPED - ${report.skipped}`);
    return;
  }
  console.log(`\n${report.name} ${report.version} (${report.seconds} s)`);
  for (const { name, outcome } of report.checks) {
    const detail = outcome.kind === 'passed' ? '' : ` - ${outcome.detail}`;
    console.log(`  ${outcome.kind.padEnd(11)} ${name}${detail}`);
  }
}

/** True: no check failed. */
function summarize(reports: readonly Report[]): boolean {
  console.log('\nclient                                        passed  failed  unsupported');
  const total = { passed: 0, failed: 0, unsupported: 0 };
  for (const report of reports) {
    if ('skipped' in report) {
      console.log(`${report.name.padEnd(45)} skipped`);
      continue;
    }
    const count = { passed: 0, failed: 0, unsupported: 0 };
    for (const { outcome } of report.checks) count[outcome.kind]++;
    for (const kind of ['passed', 'failed', 'unsupported'] as const) total[kind] += count[kind];
    const row = [count.passed, count.failed, count.unsupported].map((n) => String(n).padStart(6));
    console.log(`${`${report.name} ${report.version}`.padEnd(45)} ${row.join('  ')}`);
  }
  const skipped = reports.filter((report) => 'skipped' in report).length;
  console.log(`${total.passed} passed, ${total.failed} failed, ${skipped} of ${reports.length} skipped`);
  const failures = reports.flatMap((report) =>
    'skipped' in report
      ? []
      : report.checks.flatMap(({ name, outcome }) =>
          outcome.kind === 'failed' ? [`${report.name}: ${name}: ${outcome.detail}`] : [],
        ),
  );
  const counts = { numPassedTests: total.passed, numFailedTests: total.failed, numPendingTests: skipped, failures };
  const { NARU_TEST_REPORT: file } = process.env;
  if (file !== undefined) writeFileSync(file, JSON.stringify(counts));
  return total.failed === 0;
}
