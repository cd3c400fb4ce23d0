/** `test-summary.ts REPORT STATUS`: the closing line of a run from vitest's JSON report; exits with 1 when anything failed. */
import { readFileSync } from 'node:fs';

const [file, status] = process.argv.slice(2);
let passed = 0;
let failed = 0;
try {
  const report = JSON.parse(readFileSync(file as string, 'utf8'));
  passed = report.numPassedTests;
  failed = report.numFailedTests;
} catch {
  // No report: the run ended before or inside the tests.
}
if (status !== '0' && failed === 0) failed = 1;
if (passed === 0) failed = Math.max(failed, 1);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
