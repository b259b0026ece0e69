import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Check } from '../types.js';

const Report = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  testResults: z.array(z.object({ assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })) })),
});

const check: Check = {
  name: 'bad-input',
  shows: 'every failure of docs/failures.md ends with its cause, the way out and an exit code, finished work kept',
  needs: [],
  run: async (ctx) => {
    const output = path.join(ctx.scratch, 'report.json');
    const vitest = path.resolve(import.meta.dirname, '../../node_modules/vitest/vitest.mjs');
    const args = [vitest, 'run', 'tests/cli/failures', '--reporter=json', `--outputFile=${output}`];
    const cwd = path.resolve(import.meta.dirname, '../..');
    // A failed test makes vitest exit with 1; the report says which.
    await promisify(execFile)(process.execPath, args, { cwd }).catch((error: unknown) => ctx.log(String(error)));
    const report = Report.parse(JSON.parse(await readFile(output, 'utf8')));
    const results = report.testResults.flatMap((file) => file.assertionResults);
    const failed = results.filter((result) => result.status === 'failed').map((result) => result.fullName);
    const skipped = results.filter((result) => result.status !== 'failed' && result.status !== 'passed');
    const numbers = { provoked: report.numPassedTests, failed: failed.length, skipped: skipped.length };
    if (failed.length > 0) return { status: 'failed', detail: failed.join('; '), numbers };
    const not = skipped.map((result) => result.fullName).join('; ');
    const detail = not === '' ? 'every failure behaves as the table says' : `not shown here: ${not}`;
    return { status: report.numPassedTests > 0 ? 'passed' : 'failed', detail, numbers };
  },
};
export default check;
