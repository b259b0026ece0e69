import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  gradeProgram,
  humanEvalTask,
  sameOutput,
  type CodeRunner,
  type TestSuite,
  type Verdict,
} from '../../../src/tasks/index.js';
import { ATTACKED_SUITE, codeAttacks, HONEST } from '../../../verify/code/attacks.js';
import { MUTANTS } from '../../../verify/code/mutants.js';

const block = (code: string): { text: string } => ({ text: `So:\n\`\`\`python\n${code}\n\`\`\`` });
const LIMITS = { work: 2_000_000, cpuSeconds: 3 };
const grade = (code: string, suite: TestSuite): Promise<Verdict> =>
  gradeProgram(block(code), suite, { limits: LIMITS });

const suites: Record<string, { suite: TestSuite; right: string; wrong: string }> = {
  asserts: {
    suite: {
      kind: 'asserts',
      imports: ['import math'],
      asserts: ['assert f(2) == (4, {"a"})', 'assert math.isnan(f(None))'],
    },
    right: 'def f(x): return float("nan") if x is None else (x * x, {"a"})',
    wrong: 'def f(x): return float("nan") if x is None else [x * x, {"a"}]',
  },
  'a check with helpers of the problem': {
    suite: {
      kind: 'check',
      setup: 'def double(x): return 2 * x',
      check: 'def check(candidate):\n    for i in range(20): assert double(candidate(i)) == i',
      entry: 'half',
    },
    right: 'def half(x): return x / 2',
    wrong: 'def half(x): return x // 2',
  },
  'calls of a method': {
    suite: { kind: 'calls', entry: 'twice', cases: [{ arguments: [[1, 'é"\\']], expected: [1, 'é"\\', 1, 'é"\\'] }] },
    right: 'class Solution:\n    def twice(self, x): return tuple(x * 2)',
    wrong: 'class Solution:\n    def twice(self, x): return x',
  },
  output: {
    suite: {
      kind: 'output',
      cases: [
        { input: '2\n', output: '4\n0.333333\n' },
        { input: '-3', output: '9\n0.333333' },
      ],
    },
    right: 'x = int(input())\nprint(x * x, "")\nprint(1 / 3)',
    wrong: 'x = int(input())\nprint(2 * x)\nprint(1 / 3)',
  },
};

describe.each(Object.entries(suites))('%s', (_, { suite, right, wrong }) => {
  it('finds the right program correct and the wrong one wrong', async () => {
    expect(await grade(right, suite)).toMatchObject({ status: 'correct', score: 1, wellFormed: true });
    expect(await grade(wrong, suite)).toMatchObject({ status: 'wrong', score: 0 });
  });
});

describe('verdicts', () => {
  it('blames the response for a limit that it reaches', async () => {
    expect(await grade('def solution(x):\n    while True: pass', ATTACKED_SUITE)).toMatchObject({
      status: 'wrong',
      cause: 'response',
    });
  });

  it('gives none when the tests do not run, or the sandbox fails', async () => {
    const unusable = { ...ATTACKED_SUITE, asserts: ['assert solution(3) =='] };
    expect(await grade(HONEST, unusable)).toMatchObject({ status: 'no_verdict', cause: 'gold' });
    const broken: CodeRunner = {
      name: 'broken',
      containment: () => Promise.resolve({ level: 'accidents', why: 'it does nothing' }),
      run: () => Promise.reject(new Error('not used')),
      load: () => Promise.resolve({ outcome: 'fault', error: 'no machine' }),
      close: () => Promise.resolve(),
    };
    expect(await gradeProgram(block(HONEST), ATTACKED_SUITE, { runner: broken })).toMatchObject({
      status: 'no_verdict',
      cause: 'grader',
    });
  });

  it('finds no program in a reply that never leaves its thought', async () => {
    expect(await gradeProgram({ text: '<think>\n```python\nx\n```' }, ATTACKED_SUITE)).toMatchObject({
      status: 'wrong',
    });
  });
});

/** One of every family; all of them run in verify/checks/code-attacks.ts. */
const REPRESENTATIVES = new Set([
  'loop',
  'recursion',
  'growing list',
  'flood',
  'fork',
  'read passwd',
  'connect',
  'every proxy that is left',
  'eval through ctypes',
  'int',
  'forge a report',
  'exit 0 in a call',
  'print the marker',
  'frames',
]);

describe('attacks', () => {
  const chosen = codeAttacks().filter(({ name }) => REPRESENTATIVES.has(name));

  it('has one of every family', () => {
    expect(new Set(chosen.map(({ family }) => family))).toEqual(new Set(codeAttacks().map(({ family }) => family)));
  });

  it.each(chosen)('$family: $name is not correct, and the next program is', async ({ code }) => {
    expect((await grade(code, ATTACKED_SUITE)).status).not.toBe('correct');
    expect((await grade(HONEST, ATTACKED_SUITE)).status).toBe('correct');
  });

  it.each(Object.entries(MUTANTS))('the mutant "%s" is wrong', async (_, mutate) => {
    expect((await grade(mutate(HONEST, 'solution'), ATTACKED_SUITE)).status).toBe('wrong');
  });
});

describe('humaneval', () => {
  it('reads rows, asks for them, and finds their own solutions correct', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'humaneval-'));
    const row = {
      id: 'HumanEval/0',
      problem: 'import math\n\ndef root(x: int) -> float:\n    """ The square root. """\n',
      answer: '    return math.sqrt(x)\n',
      entry_point: 'root',
      tests: 'def check(candidate):\n    assert math.isclose(candidate(4), 2)\n',
    };
    writeFileSync(join(folder, 'humaneval.jsonl'), JSON.stringify(row));
    const task = humanEvalTask({ data: folder });
    const problem = task.problems('test', 0).at(0);
    expect(problem.prompt).toContain('The square root.');
    const reply = (text: string) => ({ text, tokens: new Int32Array(0), stopReason: 'eos' as const });
    expect(await task.grade(problem, reply(task.goldResponse?.(problem) ?? ''))).toMatchObject({ status: 'correct' });
    expect(await task.grade(problem, reply(`${row.answer}\nprint(root(9))`))).toMatchObject({ status: 'correct' });
    expect(await task.grade(problem, reply('    return x\n'))).toMatchObject({ status: 'wrong' });
  });
});

describe('sameOutput', () => {
  it.each([
    ['1 2\n3\n', '1  2 \r\n3\n\n', true],
    ['0.5', '0.500000001', true],
    ['5', '5.0', false],
    ['5', '6', false],
    ['a', 'A', false],
    ['1\n2', '1 2', false],
    ['1e-9', '2e-9', true],
    ['100.0', '100.1', false],
  ])('%j against %j: %j', (expected, printed, same) => expect(sameOutput(expected, printed)).toBe(same));
});
