import type { Response, Verdict } from '../types.js';
import { correct, noVerdict, wrong } from '../verdicts.js';
import { sameOutput } from './compare-output.js';
import { extractProgram } from './extract.js';
import { Harness, type TestReport, type TestRequest } from './harness.js';
import { embeddedRunner } from './run-python.js';
import { pythonTests, type OutputSuite, type TestSuite } from './suites.js';
import type { CodeLimits, CodeRunner, RunResult } from './types.js';

export const CODE_GRADER_VERSION = 1;

export interface CodeGradeOptions {
  /** Where programs run; default: the embedded runner that this process shares. */
  runner?: CodeRunner;
  limits?: Partial<CodeLimits>;
  signal?: AbortSignal | undefined;
  /** The head of a function that the reply may go on from. */
  stub?: { text: string; entry: string };
}

const harnesses = new WeakMap<CodeRunner, Harness>();

function harnessOf(runner: CodeRunner): Harness {
  const known = harnesses.get(runner) ?? new Harness(runner, embeddedRunner());
  harnesses.set(runner, known);
  return known;
}

function outputReport(result: RunResult, expected: string, index: number, total: number): TestReport | undefined {
  const where = `test ${index + 1} of ${total}`;
  const base = { passed: index };
  if (result.outcome === 'fault') return { ...base, status: 'fault', reason: result.error ?? 'the sandbox failed' };
  if (result.outcome === 'limit') return { ...base, status: 'limit', reason: `${where}: ${result.error}` };
  if (result.outcome === 'exception') return { ...base, status: 'failed', reason: `${where}: ${result.error}` };
  if (result.exitCode !== 0) return { ...base, status: 'failed', reason: `${where}: exit code ${result.exitCode}` };
  if (!sameOutput(expected, result.stdout)) return { ...base, status: 'failed', reason: `${where}: another output` };
  return undefined;
}

/** Each input to an interpreter of its own; the outputs are compared here. */
async function testOutputs({ cases }: OutputSuite, runner: CodeRunner, request: TestRequest): Promise<TestReport> {
  for (const [index, { input, output }] of cases.entries()) {
    const { signal, ...rest } = request;
    const result = await runner.run({ ...rest, stdin: input, ...(signal ? { signal } : {}) });
    const report = outputReport(result, output, index, cases.length);
    if (report) return report;
  }
  return { status: 'passed', passed: cases.length, reason: `all ${cases.length} tests pass` };
}

/** Runs a program against tests that it does not see. */
export function testProgram(code: string, suite: TestSuite, options: CodeGradeOptions = {}): Promise<TestReport> {
  const { runner = embeddedRunner(), limits, signal } = options;
  const request = { code, signal, ...(limits ? { limits } : {}) };
  if (suite.kind === 'output') return testOutputs(suite, runner, request);
  return harnessOf(runner).run(pythonTests(suite), request);
}

/**
 * The verdict on a reply that holds a program. A limit that the program reaches is wrong, with the cause `response`; a
 * fault of the sandbox, or tests that do not run, give no verdict.
 */
export async function gradeProgram(
  response: Pick<Response, 'text'>,
  suite: TestSuite,
  options: CodeGradeOptions = {},
): Promise<Verdict> {
  const found = extractProgram(response.text, options.stub);
  if (!found) return wrong('no program found', { wellFormed: false });
  const { status, passed, reason } = await testProgram(found.code, suite, options);
  const details = { extracted: found.code, wellFormed: found.from === 'block', components: { testsPassed: passed } };
  if (status === 'passed') return correct(found.code, reason, details);
  if (status === 'failed') return wrong(reason, details);
  if (status === 'limit') return wrong(reason, { ...details, cause: 'response' });
  return noVerdict(status === 'fault' ? 'grader' : 'gold', reason, details);
}
