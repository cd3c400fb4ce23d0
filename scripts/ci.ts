/**
 * What `.ci/run` does after the installation: the stages below, one after the other, each within its time. A stage is a command; one that counts its results writes them to
 * the file `$NARU_TEST_REPORT` in vitest's words (`numPassedTests`, `numFailedTests`, `numPendingTests`, and the failures as `testResults` or, a line each, as `failures`), any other
 * counts as one result. At the end come the failures of all stages, since who reads the end of a long output wants those, then a line a stage; the closing line is the sum. Exits with 1
 * when anything failed, after all stages have run. `node scripts/ci.ts tests` runs some of them by name.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

interface Stage {
  readonly name: string;
  readonly command: readonly [program: string, ...argv: string[]];
  readonly minutesMax: number;
}

const stages: readonly Stage[] = [
  { name: 'tests', command: ['npm', 'test'], minutesMax: 20 },
  {
    name: 'simulation',
    command: ['npm', 'run', 'sim', '--', '--seeds', '300', '--from', 'commit', '--minutes', '8'],
    minutesMax: 10,
  },
  { name: 'conformance', command: ['npm', 'run', 'test:conformance', '--', '--minutes', '9'], minutesMax: 12 },
  // The SDK must say something about everything public; writing the pages is left out.
  { name: 'docs', command: ['npm', 'run', 'docs', '--', '--emit', 'none'], minutesMax: 3 },
  { name: 'chaos', command: ['npm', 'run', 'chaos', '--', '--minutes', '5'], minutesMax: 8 },
];

interface Results {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What the vitest reporter and the project's own harnesses write, as far as it is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly failures?: readonly string[];
  readonly testResults?: readonly {
    readonly name: string;
    readonly message: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** The closing lines stay in sight, however much fails. */
const failuresMax = 40;
const failureCharsMax = 300;

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !stages.some((stage) => stage.name === name));
if (unknown.length > 0) {
  console.error(`no such stage: ${unknown.join(', ')}; there are ${stages.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const reports = mkdtempSync(join(tmpdir(), 'naru-ci-'));
const outcomes: (Results & { readonly line: string })[] = [];
const failures: string[] = [];
for (const stage of stages.filter(({ name }) => asked.length === 0 || asked.includes(name))) {
  console.log(`\n=== ${stage.name}: ${stage.command.join(' ')} (at most ${stage.minutesMax} minutes)`);
  const began = performance.now();
  const report = join(reports, `${stage.name}.json`);
  const ended = await run(stage, report);
  const results = resultsOf(report, ended === 'well');
  failures.push(...failuresOf(report).map((failure) => `${stage.name}: ${failure}`));
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  const verdict = results.failed === 0 ? 'ok' : 'FAILED';
  const why = ended === 'well' ? '' : ` (${ended})`;
  outcomes.push({ ...results, line: `${verdict.padEnd(6)} ${stage.name}: ${text(results)} in ${minutes} min${why}` });
}
rmSync(reports, { recursive: true, force: true });

for (const failure of failures.slice(0, failuresMax))
  console.log(failure.replaceAll('\n', ' ').slice(0, failureCharsMax));
if (failures.length > failuresMax) console.log(`and ${failures.length - failuresMax} more`);
console.log(`\n${outcomes.map(({ line }) => line).join('\n')}`);
const sum = (field: keyof Results): number => outcomes.reduce((total, outcome) => total + outcome[field], 0);
console.log(text({ passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') }));
process.exitCode = sum('failed') === 0 ? 0 : 1;

/** Its whole process group ends with it: a stage that is out of time must not go on beside the next one. */
function run({ command: [program, ...argv], minutesMax }: Stage, report: string): Promise<string> {
  return new Promise((resolve) => {
    const env = { ...process.env, NARU_TEST_REPORT: report };
    const child = spawn(program, argv, { stdio: 'inherit', env, detached: true });
    const timer = setTimeout(() => endGroup(child.pid), minutesMax * 60_000);
    child.once('error', (error) => resolve(error.message));
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      endGroup(child.pid);
      if (signal !== null) resolve(`ended by ${signal}`);
      else resolve(status === 0 ? 'well' : `status ${status}`);
    });
  });
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

function resultsOf(report: string, endedWell: boolean): Results {
  if (!existsSync(report)) return { passed: endedWell ? 1 : 0, failed: endedWell ? 0 : 1, skipped: 0 };
  const counts: Report = JSON.parse(readFileSync(report, 'utf8'));
  const { numPassedTests: passed, numFailedTests, numPendingTests: skipped } = counts;
  // It may have failed outside of what it counts, or found nothing at all to count.
  const isEmpty = passed + skipped === 0;
  const failed = numFailedTests === 0 && (!endedWell || isEmpty) ? 1 : numFailedTests;
  return { passed, failed, skipped };
}

function failuresOf(report: string): string[] {
  if (!existsSync(report)) return [];
  const { failures = [], testResults = [] }: Report = JSON.parse(readFileSync(report, 'utf8'));
  const inFiles = testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(process.cwd(), name);
    const failed = assertionResults.filter((result) => result.status === 'failed');
    if (status === 'failed' && failed.length === 0) return [`${file}: ${firstLine(message)}`];
    return failed.map(({ fullName, failureMessages }) => `${file} > ${fullName}: ${firstLine(failureMessages[0])}`);
  });
  return [...failures, ...inFiles];
}

function firstLine(message = ''): string {
  return message.split('\n', 1)[0] ?? '';
}

function text({ passed, failed, skipped }: Results): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}
