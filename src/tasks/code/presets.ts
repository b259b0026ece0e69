import { z } from 'zod';
import type { Task } from '../types.js';
import { codeTask, type CodeDataset, type CodeTaskOptions } from './task.js';
import type { CodeRunner } from './types.js';

const humanEvalRow = z.looseObject({
  id: z.string(),
  problem: z.string(),
  answer: z.string(),
  entry_point: z.string().regex(/^[A-Za-z_]\w*$/),
  tests: z.string(),
});

export const HUMANEVAL: CodeDataset<z.output<typeof humanEvalRow>> = {
  name: 'humaneval',
  description: 'complete a Python function by its text (HumanEval: 164 to test)',
  file: 'humaneval.jsonl',
  prompt:
    'Complete the following Python function. Reply with the whole function, with its imports, in one ```python block.\n\n```python\n{problem}```',
  schema: humanEvalRow,
  problem: ({ id, problem, answer, entry_point: entry, tests }) => ({
    id,
    text: problem,
    answer,
    // The problem's own text is the tests' setup: some tests use helpers and imports that it gives.
    suite: { kind: 'check', setup: problem, check: tests, entry },
    stub: { text: problem, entry },
  }),
};

const mbppRow = z.looseObject({
  id: z.union([z.string(), z.number()]).transform(String),
  problem: z.string(),
  answer: z.string(),
  tests: z.array(z.string()).min(1),
  test_imports: z.array(z.string()).default([]),
});

/** The functions of the reference that its tests call; one of them (mbpp-126) has the name of a function of Python's. */
function calledNames(answer: string, tests: readonly string[]): string[] {
  const defined = [...answer.matchAll(/^def[ \t]+(\w+)/gm)].map(([, name = '']) => name);
  return defined.filter((name) => tests.some((test) => new RegExp(`\\b${name}[ \\t]*\\(`).test(test)));
}

const namesOf = (names: string[]) => (names.length === 0 ? {} : { names });

export const MBPP: CodeDataset<z.output<typeof mbppRow>> = {
  name: 'mbpp',
  description: 'write a Python function that passes tests (MBPP, sanitized)',
  file: 'mbpp_sanitized_sample.jsonl',
  prompt:
    '{problem}\n\nYour function should pass this test, among others:\n\n```python\n{test}\n```\n\nReply with the whole program in one ```python block.',
  schema: mbppRow,
  problem: ({ id, problem, answer, tests, test_imports: imports }) => ({
    id,
    text: problem,
    answer,
    suite: { kind: 'asserts', imports, asserts: tests, ...namesOf(calledNames(answer, tests)) },
  }),
};

/** HumanEval (Chen et al. 2021) from humaneval.jsonl: rows {id, problem, answer, entry_point, tests}. */
export const humanEvalTask = (options?: CodeTaskOptions, runner?: CodeRunner): Task =>
  codeTask(HUMANEVAL, options, runner);

/** MBPP (Austin et al. 2021), sanitized, from mbpp_sanitized_sample.jsonl: rows {id, problem, answer, tests, test_imports}. */
export const mbppTask = (options?: CodeTaskOptions, runner?: CodeRunner): Task => codeTask(MBPP, options, runner);
