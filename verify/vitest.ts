import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { CheckContext, CheckResult } from './types.js';

const Report = z.object({
  numPassedTests: z.number(),
  testResults: z.array(
    z.object({
      status: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
});

/** Runs test files and reports them as a check; `detail` is what holds when they pass. */
export async function vitest(ctx: CheckContext, files: readonly string[], detail: string): Promise<CheckResult> {
  const output = path.join(ctx.scratch, 'report.json');
  const cwd = path.resolve(import.meta.dirname, '..');
  const args = [path.join(cwd, 'node_modules/vitest/vitest.mjs'), 'run', ...files];
  // A failed test makes vitest exit with 1; the report says which.
  await promisify(execFile)(process.execPath, [...args, '--reporter=json', `--outputFile=${output}`], { cwd }).catch(
    (error: unknown) => ctx.log(String(error)),
  );
  const report = Report.parse(JSON.parse(await readFile(output, 'utf8')));
  const results = report.testResults.flatMap((file) => file.assertionResults);
  const failed = results.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  );
  const skipped = results.filter(({ status }) => status !== 'failed' && status !== 'passed');
  const numbers = { tests: report.numPassedTests, failed: failed.length, skipped: skipped.length };
  const wrong = [...failed, ...broken.map(({ message }) => message ?? 'a test file did not load')];
  if (wrong.length > 0) return { status: 'failed', detail: wrong.join('; '), numbers };
  const not = skipped.map(({ fullName }) => fullName).join('; ');
  return {
    status: report.numPassedTests > 0 ? 'passed' : 'failed',
    detail: not ? `not shown here: ${not}` : detail,
    numbers,
  };
}
