import { z } from 'zod';
import type { PythonTests } from './harness.js';

const text = z.string();

/** How a data set writes its tests down. */
export const testSuiteSchema = z.discriminatedUnion('kind', [
  /**
   * MBPP: assertions about functions of the program. `imports` run before them. `names`: which functions those are;
   * default: every name in them that is neither Python's nor defined.
   */
  z.strictObject({
    kind: z.literal('asserts'),
    imports: z.array(text).default([]),
    asserts: z.array(text).min(1),
    names: z.array(text).min(1).optional(),
  }),
  /** HumanEval: a function check(candidate) of assertions. */
  z.strictObject({ kind: z.literal('check'), setup: text.default(''), check: text, entry: text }),
  /** LiveCodeBench, TACO: arguments and results of one function, as JSON. */
  z.strictObject({
    kind: z.literal('calls'),
    entry: text,
    cases: z.array(z.strictObject({ arguments: z.array(z.unknown()), expected: z.unknown() })).min(1),
  }),
  /** APPS, TACO, LiveCodeBench: what is read and what should be printed. */
  z.strictObject({
    kind: z.literal('output'),
    cases: z.array(z.strictObject({ input: text, output: text })).min(1),
  }),
]);
export type TestSuite = z.output<typeof testSuiteSchema>;
export type OutputSuite = Extract<TestSuite, { kind: 'output' }>;

/** A piece of JSON as a Python expression, whatever characters are in it. */
const pythonJson = (value: unknown): string => `_json.loads(${JSON.stringify(JSON.stringify(value))})`;

/** A tuple passes for the list that JSON can write (LiveCodeBench does the same). */
const CALLS_SETUP = `import json as _json
def _plain(value):
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value`;

/** The suite as pieces of Python that run in the tests' interpreter. */
export function pythonTests(suite: Exclude<TestSuite, OutputSuite>): PythonTests {
  if (suite.kind === 'asserts')
    return { setup: suite.imports.join('\n'), tests: suite.asserts, ...(suite.names ? { names: suite.names } : {}) };
  if (suite.kind === 'check')
    return { setup: suite.setup, tests: [`${suite.check}\n\ncheck(${suite.entry})`], names: [suite.entry] };
  const tests = suite.cases.map(
    (one) =>
      `assert _plain(${suite.entry}(*${pythonJson(one.arguments)})) == ${pythonJson(one.expected)}, "another result"`,
  );
  return { setup: CALLS_SETUP, tests, names: [suite.entry] };
}
