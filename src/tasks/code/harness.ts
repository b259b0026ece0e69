import { z } from 'zod';
import type { EmbeddedRunner } from './embedded.js';
import type { GuestProcess } from './guest-process.js';
import { limitsOf } from './limits.js';
import type { CallResult, CodeLimits, CodeRunner, Program } from './types.js';

/** Tests in Python that call a program's functions. */
export interface PythonTests {
  /** Runs before the tests, in their interpreter: imports, helpers that the problem gives. */
  setup: string;
  /** Pieces of Python, in order; each passes if it raises nothing. */
  tests: readonly string[];
  /** The names that come from the program; undefined: every name that the tests use and nobody defines. */
  names?: readonly string[];
}

/** `unusable`: the tests themselves do not run. */
export interface TestReport {
  status: 'passed' | 'failed' | 'limit' | 'fault' | 'unusable';
  /** Tests that passed before the first that did not. */
  passed: number;
  reason: string;
}

export interface TestRequest {
  code: string;
  limits?: Partial<CodeLimits>;
  signal?: AbortSignal | undefined;
}

/** Tests may loop over thousands of calls; they are data we were given, and only need a bound. */
const TEST_LIMITS: Omit<CodeLimits, 'wallSeconds'> = { work: 300_000_000, cpuSeconds: 60, outputBytes: 4_000_000 };

const callSchema = z.object({ name: z.string(), arguments: z.string() });
const reportSchema = z.object({
  status: z.enum(['passed', 'failed', 'stopped', 'unusable']),
  index: z.int().optional(),
  why: z.string().default(''),
});

/**
 * Runs tests in an interpreter of their own. The program lives in another process; what passes between them is the name
 * of a function, its arguments, and what it returned, as plain data. So the program sees no test, no expected value and
 * no comparison, and an object of its making never reaches one.
 */
export class Harness {
  readonly #idle: GuestProcess[] = [];

  constructor(
    readonly runner: CodeRunner,
    readonly host: EmbeddedRunner,
  ) {}

  async run(tests: PythonTests, request: TestRequest): Promise<TestReport> {
    const loaded = await this.runner.load(request);
    if (loaded.outcome !== 'finished') {
      const status = loaded.outcome === 'exception' ? 'failed' : loaded.outcome;
      return { status, passed: 0, reason: `the program does not load: ${loaded.error}` };
    }
    try {
      return await this.#test(loaded.program, tests, request);
    } finally {
      await loaded.program.close();
    }
  }

  async #test(program: Program, tests: PythonTests, request: TestRequest): Promise<TestReport> {
    const guest = await this.#take();
    if (!guest) return { status: 'fault', passed: 0, reason: 'the sandbox of the tests does not start' };
    const calls = new Calls(program);
    const answer = await guest.ask({
      body: JSON.stringify({ op: 'tests', ...tests }),
      limits: { ...TEST_LIMITS, wallSeconds: limitsOf(request.limits).wallSeconds + 30 },
      signal: request.signal,
      onCall: (call) => calls.answer(call),
    });
    if (guest.alive) this.#idle.push(guest);
    if (answer.kind === 'fault') return { status: 'fault', passed: 0, reason: answer.why };
    // Reference solutions pass under these limits: what the program returned has led here.
    if (answer.kind === 'limit')
      return { status: 'limit', passed: 0, reason: `the tests reach the limit ${answer.limit}` };
    return reportOf(answer.reply, calls.ended, tests.tests.length);
  }

  async #take(): Promise<GuestProcess | undefined> {
    const idle = this.#idle.pop();
    if (idle?.alive) return idle;
    const guest = await this.host.start('harness');
    return (await guest.ready) === undefined ? guest : undefined;
  }
}

/** The calls that tests make to one program. */
class Calls {
  /** What ended the program, if something did. */
  ended: Extract<CallResult, { outcome: 'limit' | 'fault' }> | undefined;

  constructor(readonly program: Program) {}

  async answer(call: string): Promise<string> {
    const { name, arguments: args } = callSchema.parse(JSON.parse(call));
    const result = this.ended ?? (await this.program.call(name, args));
    if (result.outcome === 'limit' || result.outcome === 'fault') this.ended = result;
    return JSON.stringify(result);
  }
}

function reportOf(reply: string, ended: Calls['ended'], total: number): TestReport {
  const { status, index: passed = 0, why } = reportSchema.parse(JSON.parse(reply));
  if (ended) return { status: ended.outcome, passed, reason: ended.error };
  if (status === 'passed') return { status, passed, reason: `all ${total} tests pass` };
  if (status === 'unusable' || status === 'stopped') return { status: 'unusable', passed, reason: why };
  return { status: 'failed', passed, reason: `test ${passed + 1} of ${total}: ${why}` };
}
